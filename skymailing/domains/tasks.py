"""Check the DNS records of domains: on request, often while a domain is new, and daily."""

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select

from skymailing.domains.records import list_records, query_dns
from skymailing.domains.verification import record_findings
from skymailing.extensions import db
from skymailing.models import SendingDomain

CHECK_INTERVAL = timedelta(days=1)
# An unverified domain is checked often at first, since its owner is waiting.
NEW_PERIOD = timedelta(days=3)
NEW_CHECK_INTERVAL = timedelta(minutes=30)
DOMAINS_PER_SWEEP = 20


def check_domain(domain_id: int, now: datetime) -> bool:
    """Check a domain in DNS and commit the result; return whether account letters were added."""
    domain = db.session.get(SendingDomain, domain_id)
    if domain is None:
        return False
    records = list_records(domain)
    name, asked_at = domain.name, domain.check_requested_at
    db.session.rollback()  # no transaction is open while DNS is slow
    findings = query_dns(name, records)
    locked = select(SendingDomain).where(SendingDomain.id == domain_id).with_for_update(of=SendingDomain)
    domain = db.session.scalar(locked.execution_options(populate_existing=True))
    if domain is None or domain.name != name:
        db.session.rollback()
        return False
    was_missing = domain.missing_since
    # The records changed during this check, such as a new key, or another check was requested: check again.
    is_outdated = domain.check_requested_at not in (None, asked_at) or list_records(domain) != records
    record_findings(domain, findings, now)
    if is_outdated:
        domain.check_requested_at = now
    has_letters = was_missing is None and domain.missing_since is not None
    db.session.commit()
    return has_letters


def find_due_domains(now: datetime) -> list[int]:
    """Return the IDs of up to DOMAINS_PER_SWEEP domains that should be checked now, longest waiting first."""
    is_new = and_(
        SendingDomain.verified_at.is_(None),
        SendingDomain.created_at > now - NEW_PERIOD,
        SendingDomain.checked_at < now - NEW_CHECK_INTERVAL,
    )
    is_due = or_(
        SendingDomain.check_requested_at.is_not(None),
        SendingDomain.checked_at.is_(None),
        SendingDomain.checked_at < now - CHECK_INTERVAL,
        is_new,
    )
    due = select(SendingDomain.id).where(is_due)
    return list(
        db.session.scalars(due.order_by(SendingDomain.checked_at.nulls_first()).limit(DOMAINS_PER_SWEEP))
    )
