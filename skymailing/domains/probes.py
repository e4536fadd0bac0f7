"""Send a test email from a domain to ourselves, and describe how it arrived."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flask_babel import gettext as _
from sqlalchemy import select

from skymailing.domains.queries import covers
from skymailing.domains.services import DomainError, lock
from skymailing.extensions import db
from skymailing.models import LetterState, OutboxLetter, Sender, SendingDomain
from skymailing.models.probe import PROBE_LATE_AFTER, ProbeArrival, SignatureFault
from skymailing.outbox.probes import PROBE, find_probe_mailbox
from skymailing.outbox.services import add_letter
from skymailing.web.error_texts import explain_stored

PAUSE = timedelta(minutes=5)  # between two test emails of a domain


class ProbeState(StrEnum):
    NONE = "none"  # not sent yet
    WAITING = "waiting"
    LATE = "late"
    REFUSED = "refused"
    ARRIVED = "arrived"


@dataclass(frozen=True, slots=True)
class ProbeView:
    """The content of the page: the state, the server's reply, facts (each good or bad), and advice."""

    state: ProbeState
    reply: str = ""
    facts: tuple[tuple[bool, str], ...] = ()
    advice: str = ""


def request_probe(domain: SendingDomain, now: datetime) -> None:
    """Add a test email to the outbox, to be sent through the server that the domain's mailings use.

    Raises DomainError.
    """
    lock(domain)
    if not domain.is_verified:
        raise DomainError("domain_unverified")
    mailbox = find_probe_mailbox()
    if not mailbox:
        raise DomainError("domain_probe_no_mailbox")
    if domain.probe_sent_at is not None and now - domain.probe_sent_at < PAUSE:
        raise DomainError("domain_probe_too_soon", minutes=int(PAUSE.total_seconds() // 60))
    sender = _find_sender(domain)
    address = sender.address if sender else f"test@{domain.name}"
    letter = add_letter(
        domain.owner,
        PROBE,
        to=mailbox,
        server_id=sender.server_id if sender else None,
        domain_id=domain.id,
        address=address,
    )
    domain.probe_sent_at, domain.probe = now, {"letter": letter.id, "is_awaited": True}
    db.session.flush()


def _find_sender(domain: SendingDomain) -> Sender | None:
    """Return the domain's sender that new mailings use, or the first one."""
    statement = select(Sender).where(Sender.owner_id == domain.owner_id, Sender.confirmed_at.is_not(None))
    senders = db.session.scalars(statement.order_by(Sender.is_default.desc(), Sender.id))
    return next((sender for sender in senders if covers(domain, sender.address_key)), None)


def describe_probe(domain: SendingDomain, now: datetime) -> ProbeView:
    """Return the result of the last test email."""
    if domain.probe_sent_at is None:
        return ProbeView(ProbeState.NONE)
    if (arrival := ProbeArrival.of(domain.probe)) is not None:
        facts, advice = tuple(_describe_arrival(arrival)), _advise(arrival, domain.is_signed)
        return ProbeView(ProbeState.ARRIVED, facts=facts, advice=advice)
    letter = _find_letter(domain)
    reply = explain_stored(letter.last_error) if letter is not None else ""
    if letter is not None and letter.state is LetterState.FAILED:
        return ProbeView(ProbeState.REFUSED, reply)
    is_late = now - domain.probe_sent_at > PROBE_LATE_AFTER
    return ProbeView(ProbeState.LATE if is_late else ProbeState.WAITING, reply)


def _find_letter(domain: SendingDomain) -> OutboxLetter | None:
    """Return the last test email, unless it has been removed: SQLite reuses the IDs of removed letters."""
    condition = (OutboxLetter.user_id == domain.owner_id) & (OutboxLetter.template == PROBE)
    return db.session.scalar(
        select(OutboxLetter).where(OutboxLetter.id == domain.probe.get("letter", 0), condition)
    )


def _describe_arrival(arrival: ProbeArrival) -> Iterator[tuple[bool, str]]:
    best = arrival.best
    if best is None:
        yield False, _("The email has no signature (DKIM).")
        return
    if SignatureFault.NOT_ALIGNED in arrival.faults:
        text = _("Signed by %(domain)s, not by your domain, so it does not pass DMARC.", domain=best.domain)
        yield False, text
    else:
        yield True, _("Signed by %(domain)s, as DMARC requires.", domain=best.domain)
    if SignatureFault.INVALID in arrival.faults:
        yield False, _("The receiving mail server says that the signature is not valid.")
    if SignatureFault.UNSUBSCRIBE_UNCOVERED in arrival.faults:
        text = _(
            "The signature does not cover List-Unsubscribe and List-Unsubscribe-Post, "
            "so Gmail may hide its unsubscribe button."
        )
        yield False, text
    elif arrival.has_one_click:
        yield True, _("The signature covers the unsubscribe headers, as Gmail and Yahoo require.")
    else:
        yield False, _("One-click unsubscribe is off because this site does not use HTTPS.")


def _advise(arrival: ProbeArrival, is_signed_by_us: bool) -> str:
    """Return advice on the signature; empty if it is correct."""
    if not arrival.faults:
        return ""
    if is_signed_by_us:
        return str(_("Create the signature record above, and check again."))
    return str(_("Let SkyMailing sign emails from this domain, or ask the administrator of the mail server."))
