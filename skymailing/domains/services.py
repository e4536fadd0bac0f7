"""Add, check, sign and delete sending domains; lock the owner's row to enforce limits."""

import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.delivery.routing.freemail import find_provider
from skymailing.domains.keys import add_key
from skymailing.domains.verification import revoke_verification
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, SendingDomain, User
from skymailing.quotas.checks import require_room, select_domains
from skymailing.quotas.locking import lock_owner
from skymailing.settings.quotas import quota_settings

TOKEN_BYTES = 16
MAX_KEYS = 3  # one that signs, one that letters in transit still need, and a replacement


class DomainError(UserError):
    """A domain cannot be added or changed."""


def add_domain(owner: User, name: str, now: datetime) -> SendingDomain:
    """Add a domain with its key, and request a first check; raises DomainError and LimitReached."""
    lock_owner(owner.id)
    require_room("domain_limit", select_domains(owner.id), quota_settings().domains)
    if find_provider(name) is not None:
        raise DomainError("domain_freemail", domain=name)
    same = select(SendingDomain.id).where(SendingDomain.owner_id == owner.id, SendingDomain.name == name)
    if db.session.scalar(same) is not None:
        raise DomainError("domain_exists")
    token = secrets.token_hex(TOKEN_BYTES)
    domain = SendingDomain(owner_id=owner.id, name=name, token=token, check_requested_at=now)
    add_key(domain, now)
    db.session.add(domain)
    db.session.flush()
    return domain


def request_check(domain: SendingDomain, now: datetime) -> None:
    """Request a check of the records by a worker; the caller sends the hint after the commit."""
    domain.check_requested_at = now
    db.session.flush()


def replace_key(domain: SendingDomain, now: datetime) -> None:
    """Add a key, which signs as soon as its record is found in DNS. Raises DomainError."""
    lock(domain)
    if domain.keys and domain.keys[-1].published_at is None:
        raise DomainError("domain_key_waiting")
    if len(domain.keys) >= MAX_KEYS:
        raise DomainError("domain_keys_too_many")
    add_key(domain, now)
    request_check(domain, now)


def choose_signing(domain: SendingDomain, is_signed: bool, now: datetime) -> None:
    """Choose whether we or the mail server sign the domain's letters."""
    lock(domain)
    domain.is_signed = is_signed
    request_check(domain, now)


def delete_domain(domain: SendingDomain, actor: Actor) -> None:
    """Delete a domain with its keys; senders confirmed only by it must confirm their addresses by email."""
    lock(domain)
    revoke_verification(domain)
    audit.record(AuditAction.DOMAIN_DELETED, actor, domain)
    db.session.delete(domain)
    db.session.flush()


def lock(domain: SendingDomain) -> None:
    """Lock a domain until the transaction ends, and refresh it; raises DomainError if it was deleted."""
    try:
        db.session.refresh(domain, with_for_update={"of": SendingDomain})
    except InvalidRequestError as error:
        raise DomainError("domain_deleted") from error
