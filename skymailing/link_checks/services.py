"""Request checks of links, find their results, and delete old ones."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select

from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.link_checks.addresses import FoundLinks
from skymailing.models import LinkCheck, Message, UsageKind, User
from skymailing.quotas.checks import use
from skymailing.quotas.locking import lock_owner

CHECKS_PER_HOUR = 10
STALE = timedelta(minutes=3)  # after which a worker that performs a check counts as dead
GIVEN_UP = timedelta(minutes=15)  # after which a check that no worker has performed no longer blocks others
RETENTION = timedelta(days=30)


class LinkCheckRunning(UserError):
    """Another check of the owner has not finished."""

    def __init__(self) -> None:
        super().__init__("link_check_running")


class NoLinks(UserError):
    """The letter has no links that can be checked."""

    def __init__(self) -> None:
        super().__init__("link_check_no_links")


def request_check(
    owner: User, found: FoundLinks, message: Message | None, version: int | None, now: datetime
) -> LinkCheck:
    """Add a check; an earlier one of the same text is deleted.

    Raises NoLinks, LinkCheckRunning and LimitReached.
    """
    if not found.urls:
        raise NoLinks
    lock_owner(owner.id)
    own = LinkCheck.owner_id == owner.id
    running = select(LinkCheck.id).where(
        own, LinkCheck.finished_at.is_(None), LinkCheck.requested_at > now - GIVEN_UP
    )
    if db.session.scalar(running.limit(1)) is not None:
        raise LinkCheckRunning
    use("link_check_limit", owner.id, UsageKind.LINK_CHECKS, CHECKS_PER_HOUR, 1, now)
    same = LinkCheck.message_id == message.id if message else LinkCheck.message_id.is_(None)
    is_replaced = same if version is not None or message is None else same & LinkCheck.version.is_(None)
    db.session.execute(delete(LinkCheck).where(own, is_replaced))
    check = LinkCheck(owner_id=owner.id, message_id=message.id if message else None, version=version)
    check.links, check.skipped, check.requested_at = [{"url": url} for url in found.urls], found.skipped, now
    db.session.add(check)
    db.session.flush()
    return check


def find_check(message: Message) -> LinkCheck | None:
    """Return the last check of a message's current version, finished or not."""
    current = (LinkCheck.message_id == message.id) & (LinkCheck.version == message.version)
    return db.session.scalar(select(LinkCheck).where(current).order_by(LinkCheck.id.desc()).limit(1))


def is_waiting(now: datetime) -> bool:
    """Return whether a check is waiting for a worker."""
    return db.session.scalar(select(LinkCheck.id).where(_is_due(now)).limit(1)) is not None


def find_next(now: datetime) -> LinkCheck | None:
    """Return the check that has waited longest, locked."""
    due = select(LinkCheck).where(_is_due(now)).order_by(LinkCheck.id)
    return db.session.scalar(due.limit(1).with_for_update(skip_locked=True))


def _is_due(now: datetime) -> ColumnElement[bool]:
    is_free = or_(LinkCheck.started_at.is_(None), LinkCheck.started_at < now - STALE)
    return and_(LinkCheck.finished_at.is_(None), LinkCheck.requested_at > now - GIVEN_UP, is_free)


def delete_expired(now: datetime) -> None:
    """Delete old checks."""
    db.session.execute(delete(LinkCheck).where(LinkCheck.requested_at < now - RETENTION))
