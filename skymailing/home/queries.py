"""What the home page counts and lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from skymailing.clock import utcnow
from skymailing.extensions import cache, db
from skymailing.models import Client, Mailing, MailingState, Message

TOTALS_LIFETIME = 60  # seconds; the public counters may lag behind by this much
LISTED = 5


@dataclass(frozen=True, slots=True)
class Totals:
    """The public counters, over all users."""

    mailings: int
    active: int
    clients: int  # distinct addresses


@dataclass(frozen=True, slots=True)
class Progress:
    """Which of the first steps a user has done."""

    has_clients: bool
    has_messages: bool
    has_mailings: bool

    @property
    def is_complete(self) -> bool:
        return self.has_clients and self.has_messages and self.has_mailings


def count_totals() -> Totals:
    """Return the public counters, at most a minute old."""
    return Totals(*_count_totals())


@cache.memoize(timeout=TOTALS_LIFETIME)
def _count_totals() -> tuple[int, int, int]:
    statement = select(
        select(func.count(Mailing.id)).scalar_subquery(),
        select(func.count(Mailing.id)).where(is_active(utcnow())).scalar_subquery(),
        select(func.count(func.distinct(Client.email_key))).scalar_subquery(),
    )
    mailings, active, clients = db.session.execute(statement).one()
    return mailings, active, clients


def is_active(now: datetime) -> ColumnElement[bool]:
    """Return the condition for mailings that run, or are scheduled with their window open now."""
    in_window = and_(Mailing.starts_at <= now, Mailing.ends_at > now)
    return and_(
        Mailing.disabled_at.is_(None),
        or_(
            Mailing.state == MailingState.RUNNING,
            and_(Mailing.state == MailingState.SCHEDULED, in_window),
        ),
    )


def find_progress(owner_id: int) -> Progress:
    """Return which of the first steps the user has done."""
    owned = [exists().where(model.owner_id == owner_id) for model in (Client, Message, Mailing)]
    has_clients, has_messages, has_mailings = db.session.execute(select(*owned)).one()
    return Progress(bool(has_clients), bool(has_messages), bool(has_mailings))


def find_running(owner_id: int) -> Sequence[Mailing]:
    """Return the user's mailings that are under way or paused, the latest first."""
    statement = (
        select(Mailing)
        .where(Mailing.owner_id == owner_id, Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED)))
        .order_by(Mailing.id.desc())
    )
    return db.session.scalars(statement.limit(LISTED)).all()


def find_upcoming(owner_id: int) -> Sequence[Mailing]:
    """Return the user's scheduled mailings, the next first."""
    due = func.coalesce(Mailing.next_run_at, Mailing.starts_at)
    statement = (
        select(Mailing)
        .where(Mailing.owner_id == owner_id, Mailing.state == MailingState.SCHEDULED)
        .order_by(due, Mailing.id)
    )
    return db.session.scalars(statement.limit(LISTED)).all()
