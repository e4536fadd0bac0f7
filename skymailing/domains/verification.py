"""Apply the results of a DNS check to a domain's verification, its senders and its signing keys."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from skymailing.domains.queries import covers, is_domain_verified
from skymailing.domains.records import Finding, Purpose
from skymailing.extensions import db
from skymailing.models import RecordState, Sender, SendingDomain
from skymailing.outbox.services import add_letter

# A domain whose ownership record is missing stays verified for this long, because it may be a mistake.
GRACE_PERIOD = timedelta(days=3)
# Letters signed with an earlier key may still be in transit for this long.
KEY_RETENTION = timedelta(days=7)
RECORD_MISSING_EMAIL = "domain-proof-missing"
# Stored instead of the DNS answer if another owner has verified the domain; the page translates it.
TAKEN_ANSWER = "taken"


def record_findings(domain: SendingDomain, findings: Mapping[Purpose, Finding], now: datetime) -> None:
    """Store the DNS findings of a domain, and act on them; the caller has locked the domain."""
    ownership = findings[Purpose.OWNERSHIP]
    if ownership.state is RecordState.FOUND:
        ownership = _verify(domain, now)
    elif ownership.state in (RecordState.MISSING, RecordState.WRONG) and domain.is_verified:
        _handle_missing_record(domain, now)
    signature = findings.get(Purpose.SIGNATURE)
    if signature is not None and signature.state is RecordState.FOUND:
        _use_newest_key(domain, now)
    stored = {**findings, Purpose.OWNERSHIP: ownership}
    domain.findings = {
        purpose.value: {"state": finding.state.value, "found": finding.found}
        for purpose, finding in stored.items()
    }
    domain.checked_at, domain.check_requested_at = now, None
    db.session.flush()


def revoke_verification(domain: SendingDomain) -> None:
    """Revoke a domain's verification; senders confirmed only by it must confirm their addresses by email."""
    domain.verified_at = domain.missing_since = None
    db.session.flush()
    for sender in _find_senders(domain):
        # Another domain of the owner, such as the parent domain, may cover the address as well.
        if sender.is_confirmed_by_domain and not is_domain_verified(domain.owner_id, sender.address_key):
            sender.confirmed_at, sender.is_confirmed_by_domain = None, False
    db.session.flush()


def _verify(domain: SendingDomain, now: datetime) -> Finding:
    """Mark the domain as verified, and confirm its senders, unless another owner has verified the domain."""
    domain.missing_since = None
    if not domain.is_verified:
        try:
            with db.session.begin_nested():
                domain.verified_at = now
                db.session.flush()
        except IntegrityError:
            db.session.refresh(domain)
            return Finding(RecordState.WRONG, TAKEN_ANSWER)
        for sender in _find_senders(domain):
            if not sender.is_confirmed:
                sender.confirmed_at, sender.is_confirmed_by_domain = now, True
    return Finding(RecordState.FOUND)


def _handle_missing_record(domain: SendingDomain, now: datetime) -> None:
    if domain.missing_since is None:
        domain.missing_since = now
        add_letter(domain.owner, RECORD_MISSING_EMAIL, domain=domain.name)
    elif now - domain.missing_since >= GRACE_PERIOD:
        revoke_verification(domain)


def _use_newest_key(domain: SendingDomain, now: datetime) -> None:
    newest = domain.keys[-1]
    if newest.published_at is None:
        newest.published_at = now
    elif now - newest.published_at >= KEY_RETENTION:
        domain.keys = [newest]


def _find_senders(domain: SendingDomain) -> list[Sender]:
    statement = select(Sender).where(Sender.owner_id == domain.owner_id).order_by(Sender.id)
    senders = db.session.scalars(statement.with_for_update())
    return [sender for sender in senders if covers(domain, sender.address_key)]
