"""Parse, compare and display email addresses."""

import re
import unicodedata
from enum import StrEnum

import email_validator
import idna
from email_validator import EmailSyntaxError
from email_validator.rfc_constants import ATEXT, CASE_INSENSITIVE_MAILBOX_NAMES

from skymailing.errors import UserError

# Private mail servers, tests and demos use these.
ALLOWED_SPECIAL_DOMAINS = {"local", "localhost", "test"}
# The library's documented way to allow a domain is to remove it from this list.
email_validator.SPECIAL_USE_DOMAIN_NAMES[:] = [
    name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if name not in ALLOWED_SPECIAL_DOMAINS
]

GMAIL_DOMAINS = ("gmail.com", "googlemail.com")
YANDEX_DOMAINS = {"yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "narod.ru"}
ADDRESS_MAX_LENGTH = 254  # RFC 3696 erratum 1690
LOCAL_PART_MAX_LENGTH = 64  # RFC 5321 4.5.3.1.1

# Invisible characters that spreadsheets and mail programs leave around an address, and that str.strip()
# does not remove: direction marks, soft hyphens, zero-width spaces.
INVISIBLE = (
    "\ufeff\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069"
)
MARGIN = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + INVISIBLE

# Logged for a letter whose address the mail server does not accept. Pages show its translation.
NO_INTERNATIONAL_ADDRESSES = "the mail server does not accept addresses with non-Latin letters before the @"

LABEL = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9]|-(?!-)){0,61}(?<!-)\.)"
# Nearly all addresses match this pattern. The rest are checked by email-validator, which is exact but about
# fifteen times slower. A test checks that the two agree.
PLAIN_ADDRESS = re.compile(
    rf"(?P<local>[{ATEXT}]+(?:\.[{ATEXT}]+)*)@(?P<domain>{LABEL}{{1,8}}(?P<top>[a-zA-Z]{{2,20}}))",
)


ATOM_CHARACTER = re.compile(f"[{ATEXT}]")
NOT_WORDS = re.compile(r"[^\w]|_")
LOOKALIKE_ALPHABETS = {"LATIN", "CYRILLIC", "GREEK"}


class AddressFault(StrEnum):
    """The reason why a text is not an email address; stored with rejected rows of imports."""

    EMPTY = "empty"
    NO_AT_SIGN = "no_at_sign"
    SEVERAL_AT_SIGNS = "several_at_signs"
    SPACE = "space"
    CONTROL_CHARACTER = "control_character"
    TOO_LONG = "too_long"
    LOCAL_PART = "local_part"
    LOCAL_PART_NOT_LATIN = "local_part_not_latin"
    MIXED_ALPHABETS = "mixed_alphabets"
    DOMAIN = "domain"
    DOMAIN_WITHOUT_DOT = "domain_without_dot"
    RESERVED_DOMAIN = "reserved_domain"


class InvalidEmail(UserError):
    """The text is not an email address."""

    def __init__(self, fault: AddressFault) -> None:
        super().__init__(f"address_{fault}")
        self.fault = fault


def parse_address(text: str) -> str:
    """Return the address as mail servers expect it, with the domain in lowercase and ASCII (RFC 5890).

    Raises InvalidEmail, even for an address that some mail servers accept; see `parse_recipient`.
    Checks the syntax only, not the DNS: a web request must not wait for it.
    """
    text = text.strip(MARGIN)
    plain = PLAIN_ADDRESS.fullmatch(text)
    if plain and is_surely_valid(text, plain):
        return normalize(plain["local"], plain["domain"])
    try:
        return parse_strictly(text)
    except EmailSyntaxError as error:
        raise InvalidEmail(find_fault(text)) from error


def parse_recipient(text: str) -> str:
    """Return the address of a client, whose local part may be in any script (RFC 6531); raises InvalidEmail.

    Such a local part is normalized to NFC. Accounts and settings use `parse_address`: their letters
    must be deliverable through every mail server.
    """
    try:
        return parse_address(text)
    except InvalidEmail as error:
        if error.fault is not AddressFault.LOCAL_PART_NOT_LATIN:
            raise
    return parse_international(text.strip(MARGIN))


def parse_international(text: str) -> str:
    local, _, domain = text.partition("@")
    local = unicodedata.normalize("NFC", local)
    if fault := find_international_fault(local):
        raise InvalidEmail(fault)
    try:
        result = email_validator.validate_email(
            f"{local}@{domain}", strict=True, check_deliverability=False, test_environment=False
        )
    except EmailSyntaxError as error:
        raise InvalidEmail(find_domain_fault(domain)) from error
    return f"{local}@{result.ascii_domain.lower()}"


def find_international_fault(local: str) -> AddressFault | None:
    """Return what is wrong with a non-ASCII local part.

    This is stricter than RFC 6531, which also allows text that was decoded incorrectly, and Latin addresses
    with a lookalike Cyrillic letter.
    """
    if not all(atom and all(map(is_allowed_in_atom, atom)) for atom in local.split(".")):
        return AddressFault.LOCAL_PART
    if any(len(find_alphabets(word)) > 1 for word in NOT_WORDS.split(local)):
        return AddressFault.MIXED_ALPHABETS
    return AddressFault.TOO_LONG if len(local.encode()) > LOCAL_PART_MAX_LENGTH else None


def is_allowed_in_atom(character: str) -> bool:
    if character.isascii():
        return ATOM_CHARACTER.fullmatch(character) is not None
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd"


def find_alphabets(word: str) -> set[str]:
    """Return which of the alphabets with lookalike letters occur in `word`."""
    return {unicodedata.name(letter, "").partition(" ")[0] for letter in word} & LOOKALIKE_ALPHABETS


def is_surely_valid(text: str, plain: re.Match[str]) -> bool:
    """Return whether the lengths are valid and the domain is not reserved; if not, an exact check decides."""
    return (
        len(text) <= ADDRESS_MAX_LENGTH
        and len(plain["local"]) <= LOCAL_PART_MAX_LENGTH
        and plain["top"].lower() not in email_validator.SPECIAL_USE_DOMAIN_NAMES
    )


def normalize(local: str, domain: str) -> str:
    # RFC 2142: these mailbox names are case-insensitive.
    if local.lower() in CASE_INSENSITIVE_MAILBOX_NAMES:
        local = local.lower()
    return f"{local}@{domain.lower()}"


def parse_strictly(text: str) -> str:
    """Return the address as email-validator normalizes it; raises EmailSyntaxError."""
    result = email_validator.validate_email(
        text, allow_smtputf8=False, strict=True, check_deliverability=False, test_environment=False
    )
    return f"{result.ascii_local_part}@{result.ascii_domain.lower()}"


def find_fault(text: str) -> AddressFault:
    """Return what is wrong with an invalid address."""
    if not text:
        return AddressFault.EMPTY
    if any(unicodedata.category(character).startswith("C") for character in text):
        return AddressFault.CONTROL_CHARACTER
    if "@" not in text:
        return AddressFault.NO_AT_SIGN
    if text.count("@") > 1:
        return AddressFault.SEVERAL_AT_SIGNS
    if any(character.isspace() for character in text):
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
    """Return the parsed address in lowercase; spellings of the same address share this key."""
    key = email.lower()
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def mailbox_key(email: str) -> str:
    """Return the mailbox of an address: without a tag, as in name+tag@, and without dots at Gmail.

    For limits only, not to recognize a person: some servers treat such addresses as different.
    """
    local, _at, domain = address_key(email).rpartition("@")
    mailbox = local.partition("+")[0] or local
    if domain in GMAIL_DOMAINS:
        mailbox, domain = mailbox.replace(".", ""), "gmail.com"
    return f"{mailbox}@{domain}"


def person_key(email: str) -> str:
    """Return the mailbox that an address probably leads to; Yandex's domains share mailboxes."""
    local, _at, domain = mailbox_key(email).rpartition("@")
    if domain in YANDEX_DOMAINS:
        local, domain = local.replace(".", "-"), "yandex.ru"
    return f"{local}@{domain}"


def display_address(email: str) -> str:
    """Return the address as people write it, with an international domain in its own script."""
    local, at, domain = email.rpartition("@")
    return local + at + display_domain(domain)


def display_domain(domain: str) -> str:
    """Return an international domain in its own script."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def mask_address(email: str) -> str:
    """Return the address in a form that only its owner recognizes, such as a***@example.com."""
    local, _, domain = display_address(email).rpartition("@")
    return f"{local[:1]}***@{domain}"


def address_pattern(text: str) -> str:
    """Return a part of an address in the form of stored keys, with an international domain in ASCII."""
    local, at, domain = text.lower().partition("@")
    return address_key(local + at + domain_pattern(domain))


def domain_pattern(text: str) -> str:
    """Return a domain, or a part of one, in the form of stored keys."""
    try:
        return text.lower().encode("idna").decode().lower()
    except UnicodeError:
        return text.lower()
