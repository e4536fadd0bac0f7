"""Read free-form failure notices, from servers whose format is not known.

Each of our letters has one recipient. A notice is therefore about the address to which the quoted letter was
sent, if the sentences before it name that address.
"""

import re

from skymailing.returns.letter import OpenedLetter, read_subject
from skymailing.returns.parts import get_header
from skymailing.returns.prose import ADDRESS, find_excerpt, find_quoted_recipients, is_address, is_from_client
from skymailing.returns.reports import DIAGNOSTIC_LENGTH, Kind, Report

MAX_ADDRESSES = 100
DAEMON = re.compile(r"mailer-daemon|mail(er)? ?daemon|post_?master|mail deliver|<>", re.IGNORECASE)
FAILURE = re.compile(
    r"undeliver|unable to deliver|(not|n't) (be )?deliver|deliver\w* (problem|report|status|error|fail)|"
    r"fail\w* (notice|of delivery|to deliver)|(mail|system|message|sending)[^.]{0,20} error|"
    r"error (sending|delivering|in mail|mail)|returned (mail|to sender)|return(ed|ing) (your )?message|"
    r"mail (returned|failure)|no such user|invalid user|user unknown|unknown user|"
    r"не доставлен|недоставлен|unzustellbar|non remis|エラー|送信できません|退信|无法投递",
    re.IGNORECASE,
)
REPLY_SUBJECT = re.compile(r"\s*(re|aw|sv|antw|fwd?|отв)\s*:", re.IGNORECASE)
DELAY = re.compile(
    r"warning message only|do not need to resend|will be (retried|tried)|will (keep|continue) (on )?try|"
    r"still (trying|being)|has been delayed|delivery[^.]{0,20} delay",
    re.IGNORECASE,
)
# Lines that name the sender of our letter.
SENDER = re.compile(
    r"^[> \t]{0,8}(from|sender|reply-to|mail from)[ \t]*:[^\n]{0,500}", re.IGNORECASE | re.MULTILINE
)
REPLY = re.compile(r"(?<![\d.])[45]\d\d[ -][^\n]{3,500}")
RCPT = re.compile(r"\bRCPT TO:[ \t]*<?([^<>\s]{3,320})", re.IGNORECASE)
# A list of recipients with replies.
LISTED_ADDRESS = re.compile(rf"^[<> \t]{{0,20}}({ADDRESS.pattern})>?:\s{{0,20}}[45]\d\d[ -]", re.MULTILINE)


def read_failure_notice(letter: OpenedLetter) -> list[Report]:
    """Return a report on the address that a notice is about, or none if that is uncertain."""
    subject = read_subject(letter.headers, 200)
    if not _is_notice(letter, subject):
        return []
    is_delayed = DELAY.search(subject) or DELAY.search(letter.sentences)
    kind = Kind.DELAYED if is_delayed else Kind.BOUNCE
    addresses = _find_addresses(letter)
    return [
        Report(kind, address, diagnostic=_find_diagnostic(letter, addresses, address), quoted=letter.quoted)
        for address in addresses
    ]


def _find_diagnostic(letter: OpenedLetter, addresses: list[str], address: str) -> str:
    """Return the server's reply about the address; if there is none, the sentences about it."""
    text = letter.sentences if len(addresses) == 1 else find_excerpt(letter, address)
    found = REPLY.search(text)
    return " ".join((found[0] if found else text).split())[:DIAGNOSTIC_LENGTH]


def _is_notice(letter: OpenedLetter, subject: str) -> bool:
    """Return whether a server wrote the letter; people's replies can contain the same words."""
    sender = get_header(letter.headers, "from")[:500]
    if is_from_client(letter):
        return False
    if DAEMON.search(sender) or letter.envelope.sender == "":
        return any(FAILURE.search(text) for text in (subject, letter.sentences[:4000]))
    return REPLY_SUBJECT.match(subject) is None and FAILURE.search(subject) is not None


def _find_addresses(letter: OpenedLetter) -> list[str]:
    sentences = SENDER.sub("", letter.sentences)
    named = {address.lower().strip(".'"): address.strip(".'") for address in ADDRESS.findall(sentences)}
    quoted = [named[key] for key in find_quoted_recipients(letter) if key in named]
    if quoted:
        return quoted[:MAX_ADDRESSES]
    # The addresses are in the SMTP dialogue or in a list, or there is only one besides the sender and
    # recipient.
    refused = list(dict.fromkeys(RCPT.findall(sentences) + LISTED_ADDRESS.findall(sentences)))
    mailboxes = ",".join(get_header(letter.headers, name).lower() for name in ("to", "from", "reply-to"))
    others = [address for key, address in named.items() if key not in mailboxes]
    candidates = refused or (others if len(others) == 1 else [])
    return [address for address in candidates[:MAX_ADDRESSES] if is_address(address)]
