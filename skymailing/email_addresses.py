"""E-mail addresses: what we accept, what counts as the same one, how people see it."""

import re
import unicodedata
from enum import StrEnum

import email_validator
import idna
from email_validator import EmailSyntaxError
from email_validator.rfc_constants import ATEXT, CASE_INSENSITIVE_MAILBOX_NAMES
from flask_babel import lazy_gettext as _l

from skymailing.errors import SkyMailingError

# A private network's mail server may well live under one of these, and so do tests and demos.
ALLOWED_SPECIAL_DOMAINS = {"local", "localhost", "test"}
# The library's own way to allow one is to take it from its list.
email_validator.SPECIAL_USE_DOMAIN_NAMES[:] = [
    name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if name not in ALLOWED_SPECIAL_DOMAINS
]

ADDRESS_MAX_LENGTH = 254  # RFC 3696 erratum 1690
LOCAL_PART_MAX_LENGTH = 64  # RFC 5321 4.5.3.1.1

# What spreadsheets leave around an address, beyond what str.strip() takes off.
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"

LABEL = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?!-)){0,61}(?<!-)\.)"
# Plain addresses, nearly all there are; whatever it does not match goes to email-validator, which
# is exact but some fifteen times slower. A test holds the two together.
PLAIN_ADDRESS = re.compile(
    rf"(?P<local>[{ATEXT}]+(?:\.[{ATEXT}]+)*)@(?P<domain>{LABEL}{{1,8}}(?P<top>[a-zA-Z]{{2,20}}))",
)


class AddressFault(StrEnum):
    """Why a text is not an address that letters can be sent to."""

    EMPTY = "empty"
    NO_AT_SIGN = "no_at_sign"
    SEVERAL_AT_SIGNS = "several_at_signs"
    SPACE = "space"
    CONTROL_CHARACTER = "control_character"
    TOO_LONG = "too_long"
    LOCAL_PART = "local_part"
    LOCAL_PART_NOT_LATIN = "local_part_not_latin"
    DOMAIN = "domain"
    DOMAIN_WITHOUT_DOT = "domain_without_dot"
    RESERVED_DOMAIN = "reserved_domain"


ADDRESS_FAULTS = {
    AddressFault.EMPTY: _l("There is no e-mail address."),
    AddressFault.NO_AT_SIGN: _l("An e-mail address has an @ sign, as in name@example.com."),
    AddressFault.SEVERAL_AT_SIGNS: _l("There is more than one @ sign; write one address only."),
    AddressFault.SPACE: _l("An e-mail address has no spaces inside."),
    AddressFault.CONTROL_CHARACTER: _l(
        "There is a line break or another invisible character inside the e-mail address."
    ),
    AddressFault.TOO_LONG: _l("The e-mail address is too long."),
    AddressFault.LOCAL_PART: _l("The part before the @ sign is not valid."),
    AddressFault.LOCAL_PART_NOT_LATIN: _l(
        "Before the @ sign only Latin letters, digits and signs are possible."
    ),
    AddressFault.DOMAIN: _l("The part after the @ sign is not a valid domain name."),
    AddressFault.DOMAIN_WITHOUT_DOT: _l(
        "The domain after the @ sign is incomplete, as example instead of example.com."
    ),
    AddressFault.RESERVED_DOMAIN: _l("The domain after the @ sign is reserved and receives no e-mail."),
}


class InvalidEmail(SkyMailingError):
    """A text is not an address; its words are in the reader's language when they are read."""

    def __init__(self, fault: AddressFault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        return str(ADDRESS_FAULTS[self.fault])


def parse_address(text: str) -> str:
    """Return the address as it goes to a mail server, domain in lower case and ASCII (RFC 5890).

    Raises InvalidEmail. The syntax is checked, never the DNS: a web page must not wait for it.
    """
    text = text.strip().strip(INVISIBLE).strip()
    plain = PLAIN_ADDRESS.fullmatch(text)
    if plain and is_surely_valid(text, plain):
        return tidy(plain["local"], plain["domain"])
    try:
        return parse_strictly(text)
    except EmailSyntaxError as error:
        raise InvalidEmail(find_fault(text)) from error


def is_surely_valid(text: str, plain: re.Match[str]) -> bool:
    """Whether the lengths hold and the domain is not one of the reserved, which need a closer look."""
    return (
        len(text) <= ADDRESS_MAX_LENGTH
        and len(plain["local"]) <= LOCAL_PART_MAX_LENGTH
        and plain["top"].lower() not in email_validator.SPECIAL_USE_DOMAIN_NAMES
    )


def tidy(local: str, domain: str) -> str:
    # RFC 2142: these mailbox names are the same in any case.
    if local.lower() in CASE_INSENSITIVE_MAILBOX_NAMES:
        local = local.lower()
    return f"{local}@{domain.lower()}"


def parse_strictly(text: str) -> str:
    """Return the normalised address by email-validator alone; raises EmailSyntaxError."""
    result = email_validator.validate_email(
        text, allow_smtputf8=False, strict=True, check_deliverability=False, test_environment=False
    )
    return f"{result.ascii_local_part}@{result.ascii_domain.lower()}"


def find_fault(text: str) -> AddressFault:
    """Say in a person's terms what is wrong with a text that is not an address."""
    if not text:
        return AddressFault.EMPTY
    if any(unicodedata.category(letter).startswith("C") for letter in text):
        return AddressFault.CONTROL_CHARACTER
    if "@" not in text:
        return AddressFault.NO_AT_SIGN
    if text.count("@") > 1:
        return AddressFault.SEVERAL_AT_SIGNS
    if any(letter.isspace() for letter in text):
        return AddressFault.SPACE
    local, _, domain = text.partition("@")
    if len(text) > ADDRESS_MAX_LENGTH or len(local) > LOCAL_PART_MAX_LENGTH:
        return AddressFault.TOO_LONG
    if not re.fullmatch(rf"[{ATEXT}]+(?:\.[{ATEXT}]+)*", local):
        return AddressFault.LOCAL_PART if local.isascii() else AddressFault.LOCAL_PART_NOT_LATIN
    return find_domain_fault(domain)


def find_domain_fault(domain: str) -> AddressFault:
    if "." not in domain and domain:
        return AddressFault.DOMAIN_WITHOUT_DOT
    if domain.rpartition(".")[2].lower() in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        return AddressFault.RESERVED_DOMAIN
    return AddressFault.DOMAIN


def address_key(email: str) -> str:
    """Return what makes two spellings the same address: the parsed one in lower case."""
    return email.lower()


def display_address(email: str) -> str:
    """Return the address as people write it, an international domain in its own letters."""
    local, _, domain = email.rpartition("@")
    if "xn--" not in domain:
        return email
    try:
        return f"{local}@{idna.decode(domain)}"
    except (idna.IDNAError, UnicodeError):
        return email


def mask_address(email: str) -> str:
    """Return enough of the address for its owner to recognise it: a***@example.com."""
    local, _, domain = display_address(email).rpartition("@")
    return f"{local[:1]}***@{domain}"
