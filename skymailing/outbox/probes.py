"""Create test letters to ourselves, which show how mail servers sign letters.

The subject contains a token, by which the letter is recognized when it arrives as returned mail.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from flask import current_app

from skymailing.clock import utcnow
from skymailing.delivery.senders import service_address
from skymailing.delivery.smtp.session import Letter
from skymailing.extensions import db
from skymailing.models import MessageFormat, OutboxLetter, SendingDomain
from skymailing.models.probe import PROBE_LIFETIME
from skymailing.outbox.services import SubjectDeleted
from skymailing.settings.returned_mail import returned_mail_settings
from skymailing.tokens import BadToken, make_token, read_token
from skymailing.web.urls import unsubscribe_url

PROBE = "probe"
SUBJECT = "SkyMailing test email"
BODY = "SkyMailing has sent this email to itself to see how emails from {domain} are signed.\n"


class Probed(NamedTuple):
    """The subject of a test letter, a domain's ID or a route's name, and the time when it was sent."""

    domain_id: int
    route: str
    sent_at: str


def find_probe_mailbox() -> str:
    """Return the address whose letters are processed as returned mail; empty if none is known."""
    config = current_app.config
    names = ("UNSUBSCRIBE_MAILBOX", "COMPLAINT_MAILBOX", "MAIL_BOUNCE_ADDRESS")
    known = next(filter(None, map(config.__getitem__, names)), "")
    return known or (service_address() if returned_mail_settings().mailbox else "")


def make_probe_token(sent_at: datetime, domain_id: int = 0, route: str = "") -> str:
    """Return the token of a test letter, valid for PROBE_LIFETIME."""
    return make_token(PROBE, {"about": [domain_id, route, sent_at.isoformat()]})


def read_probe_token(token: str) -> Probed:
    """Return the subject of a test letter. Raises BadToken."""
    about = read_token(PROBE, token, PROBE_LIFETIME).get("about")
    if not isinstance(about, list):
        raise BadToken
    return Probed(*about)


def render_domain_probe(letter: OutboxLetter) -> Letter:
    """Render the test letter of a domain, signed as its mailings are. Raises SubjectDeleted."""
    domain = db.session.get(SendingDomain, letter.params["domain_id"])
    if domain is None or domain.owner_id != letter.user_id or domain.probe.get("letter") != letter.id:
        raise SubjectDeleted("domain_deleted")
    assert domain.probe_sent_at is not None
    address = letter.params["address"]
    token = make_probe_token(domain.probe_sent_at, domain_id=domain.id)
    content = write_probe(address, letter.to, token, letter.user_id)
    return_path = address if letter.server_id is not None else ""
    return Letter(letter.id, letter.attempts, letter.to, content, return_path)


def write_probe(author: str, to: str, token: str, owner_id: int = 0) -> bytes:
    """Write a test letter with the headers and the signature of a mailing from `author`."""
    # Imported here to keep commands fast: they add letters, but only a worker renders them.
    from skymailing.delivery.rendering import mime
    from skymailing.delivery.rendering.content import Content
    from skymailing.delivery.rendering.letter import (
        EXAMPLE,
        LetterTemplate,
        Sender,
        get_configured_mailboxes,
        make_values,
    )
    from skymailing.delivery.rendering.message_ids import RunIdentity
    from skymailing.delivery.signing import find_signer

    domain = author.rpartition("@")[2]
    signer = find_signer(db.session.connection(), owner_id, author) if owner_id else None
    sender = Sender("SkyMailing", author, "", owner_id, *get_configured_mailboxes(), signer=signer)
    run = RunIdentity(uuid4())
    content = Content(SUBJECT, MessageFormat.TEXT, BODY.format(domain=domain), "en")
    template = LetterTemplate(content, sender, run, f"test.{service_address().rpartition('@')[2]}")
    values = make_values(EXAMPLE, sender.name, unsubscribe_url("example"), template.parts.readers)
    identity = run.make_message_id(0, template.domain)
    return template.assemble(mime.encode_mailbox("", to), f"{SUBJECT} {token}", values, identity, utcnow())
