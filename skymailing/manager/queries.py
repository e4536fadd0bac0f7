"""Query all users' data for the panel, paginated and with counts up to a limit."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, exists, func, literal, or_, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, contains_eager, joinedload

from skymailing.db.pagination import (
    BoundedCount,
    Order,
    Page,
    count_up_to,
    paginate,
    read_cursor,
    write_cursor,
)
from skymailing.email_addresses import address_pattern
from skymailing.extensions import db
from skymailing.models import (
    Article,
    Attempt,
    AuditAction,
    AuditEntry,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Message,
    Outcome,
    Role,
    Run,
    RunAnswer,
    RunInterval,
    RunState,
    User,
)
from skymailing.reports.aggregates import DELIVERED
from skymailing.sequences.steps import NEVER

USERS_PER_PAGE = 25
MAX_COUNT = 10_000  # counts stop here
LATEST_MAILINGS = 10  # on a user's page
SEARCHED_ENTRIES = 100_000  # of the audit log, by one request
BY_ENTRY: Order = [(AuditEntry.id, True)]
BY_START: Order = [(Mailing.starts_at, True), (Mailing.id, True)]

Period = tuple[datetime | None, datetime | None]


def within(column: InstrumentedAttribute[Any], period: Period) -> list[ColumnElement[bool]]:
    """Return conditions that restrict a column to a period; the end of the period is excluded."""
    since, until = period
    return [*([column >= since] if since else []), *([column < until] if until else [])]


def contains(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column contains the text, ignoring case."""
    return column.icontains(text, autoescape=True)


def matches_user(text: str) -> ColumnElement[bool]:
    """Return the condition that a user's address or name contains the text."""
    return or_(contains(User.email, text), contains(User.name, text))


@dataclass(frozen=True, slots=True)
class MailingCriteria:
    """Which mailings to list; the defaults exclude none."""

    name: str = ""
    owner: str = ""
    state: MailingState | None = None
    disabled: bool | None = None
    refused: bool | None = None  # whether a mail server refused some of its letters
    starts: Period = (None, None)


def list_mailings(criteria: MailingCriteria, cursor: str | None) -> Page:
    """Return a page of all users' mailings with their owners, the latest start first."""
    statement = select(Mailing).join(Mailing.owner).options(contains_eager(Mailing.owner))
    statement = statement.where(*within(Mailing.starts_at, criteria.starts))
    if criteria.name:
        statement = statement.where(contains(Mailing.name, criteria.name))
    if criteria.owner:
        statement = statement.where(matches_user(criteria.owner))
    if criteria.state:
        statement = statement.where(Mailing.state == criteria.state)
    if criteria.disabled is not None:
        statement = statement.where(Mailing.disabled_at.is_not(None) == criteria.disabled)
    if criteria.refused is not None:
        refusal = (RunAnswer.mailing_id == Mailing.id) & (RunAnswer.outcome == Outcome.FAILED)
        statement = statement.where(exists().where(refusal) == criteria.refused)
    return paginate(statement, BY_START, cursor)


def find_end(mailing: Mailing) -> datetime | None:
    """Return when a mailing ends; None for the letters of sequences and programs, which never end."""
    return mailing.ends_at if mailing.ends_at < NEVER else None


def find_mailings(ids: Collection[int]) -> list[Mailing]:
    """Return these mailings in order of ID, so that locking them one by one cannot deadlock."""
    return list(db.session.scalars(select(Mailing).where(Mailing.id.in_(ids)).order_by(Mailing.id)))


def list_latest_mailings(owner_id: int) -> list[Mailing]:
    """Return a user's latest mailings."""
    statement = select(Mailing).where(Mailing.owner_id == owner_id).order_by(Mailing.id.desc())
    return list(db.session.scalars(statement.limit(LATEST_MAILINGS)))


def find_users(ids: Collection[int]) -> list[User]:
    """Return these users in order of ID, so that locking them one by one cannot deadlock."""
    return list(db.session.scalars(select(User).where(User.id.in_(ids)).order_by(User.id)))


def list_runs(mailing_id: int | None, state: RunState | None, started: Period, cursor: str | None) -> Page:
    """Return a page of runs with their mailings and owners, newest first."""
    statement = (
        select(Run)
        .join(Run.mailing)
        .join(Mailing.owner)
        .options(contains_eager(Run.mailing).contains_eager(Mailing.owner))
        .where(*within(Run.started_at, started))
    )
    if mailing_id is not None:
        statement = statement.where(Run.mailing_id == mailing_id)
    if state:
        statement = statement.where(Run.state == state)
    return paginate(statement, [(Run.id, True)], cursor)


def list_deliveries(run_id: int, address: str, state: DeliveryState | None, cursor: str | None) -> Page:
    """Return a page of a run's deliveries, ordered by state like the index."""
    statement = select(Delivery).where(Delivery.run_id == run_id)
    if state:
        statement = statement.where(Delivery.state == state)
    if address:
        statement = statement.where(Delivery.email_key.contains(address_pattern(address), autoescape=True))
    # Compare as text: the state in a forged cursor may not be a member of the enum.
    order: Order = [(type_coerce(Delivery.state, String(16)), False), (Delivery.id, False)]
    return paginate(statement, order, cursor)


def list_attempts(delivery_id: int) -> list[Attempt]:
    """Return all attempts of a delivery, oldest first; there are only a few."""
    statement = select(Attempt).where(Attempt.delivery_id == delivery_id)
    return list(db.session.scalars(statement.order_by(Attempt.number)))


@dataclass(frozen=True, slots=True)
class UserCriteria:
    """Which users to list; the defaults exclude none."""

    text: str = ""
    role: Role | None = None
    blocked: bool | None = None
    confirmed: bool | None = None
    registered: Period = (None, None)
    ids: Collection[int] | None = None


def list_users(criteria: UserCriteria, cursor: str | None) -> Page:
    """Return a page of users, newest first."""
    statement = select(User).where(*within(User.created_at, criteria.registered))
    if criteria.text:
        statement = statement.where(matches_user(criteria.text))
    if criteria.role:
        statement = statement.where(User.role == criteria.role)
    if criteria.blocked is not None:
        statement = statement.where(User.blocked_at.is_not(None) == criteria.blocked)
    if criteria.confirmed is not None:
        statement = statement.where(User.confirmed_at.is_not(None) == criteria.confirmed)
    if criteria.ids is not None:
        statement = statement.where(User.id.in_(criteria.ids))
    return paginate(statement, [(User.id, True)], cursor, USERS_PER_PAGE)


@dataclass(frozen=True, slots=True)
class UserTotals:
    """The number of a user's objects of each kind, and the time of their last activity."""

    clients: BoundedCount
    mailings: BoundedCount
    delivered: BoundedCount  # letters that servers accepted and that did not come back
    last_activity: datetime | None


def count_by_user(users: Collection[User]) -> dict[int, UserTotals]:
    """Return each user's totals; counting a million clients takes no longer than counting ten thousand."""
    # Use the sending statistics, because retention may have removed the deliveries.
    delivered = func.coalesce(func.sum(DELIVERED), 0)
    letters_of_user = select(delivered).where(RunInterval.owner_id == User.id)
    statement = select(
        User.id,
        count_rows(select(literal(1)).select_from(Client).where(Client.owner_id == User.id)),
        count_rows(select(literal(1)).select_from(Mailing).where(Mailing.owner_id == User.id)),
        letters_of_user.correlate(User).scalar_subquery(),
        *(select_latest_creation(model) for model in (Mailing, Message, Client)),
    ).where(User.id.in_([user.id for user in users]))
    logins = {user.id: user.last_login_at for user in users}
    totals = {}
    for user_id, clients, mailings, letters, *moments in db.session.execute(statement):
        activity_times = [moment for moment in (logins[user_id], *moments) if moment]
        totals[user_id] = UserTotals(
            to_bounded(clients),
            to_bounded(mailings),
            to_bounded(int(letters)),
            max(activity_times, default=None),
        )
    return totals


def count_rows(rows: Select[Any]) -> Any:
    inner = rows.correlate(User).limit(MAX_COUNT + 1).subquery()
    return select(func.count()).select_from(inner).correlate(User).scalar_subquery()


def select_latest_creation(model: Any) -> Any:
    """Return the time when the user last created a row of the model, using the index (owner_id, id)."""
    statement = select(model.created_at).where(model.owner_id == User.id).correlate(User)
    return statement.order_by(model.id.desc()).limit(1).scalar_subquery()


def to_bounded(number: int) -> BoundedCount:
    return BoundedCount(min(number, MAX_COUNT), is_exact=number <= MAX_COUNT)


def list_articles(title: str, published: bool | None, now: datetime, cursor: str | None) -> Page:
    """Return a page of articles, the latest publication first; drafts are sorted by creation time."""
    statement = select(Article).options(joinedload(Article.author))
    if title:
        statement = statement.where(contains(Article.title, title))
    if published is not None:
        is_public = func.coalesce(Article.published_at <= now, False)
        statement = statement.where(is_public if published else ~is_public)
    shown_at = func.coalesce(Article.published_at, Article.created_at)
    return paginate(statement, [(shown_at, True), (Article.id, True)], cursor)


def list_audit(
    viewer: User, text: str, action: AuditAction | None, period: Period, cursor: str | None
) -> Page:
    """Return a page of the audit log, newest first; managers see only their own actions."""
    statement = select(AuditEntry).where(*within(AuditEntry.at, period))
    if viewer.role is not Role.ADMIN:
        statement = statement.where(AuditEntry.actor_id == viewer.id)
    if action:
        statement = statement.where(AuditEntry.action == action)
    return _search_audit(statement, text, cursor) if text else paginate(statement, BY_ENTRY, cursor)


def _search_audit(statement: Select[Any], text: str, cursor: str | None) -> Page:
    """Return a page of entries with the text; the next page may continue the search in older entries.

    No index helps find part of a name, so one request reads at most SEARCHED_ENTRIES.
    """
    position = read_cursor(cursor, BY_ENTRY) if cursor else None
    if position:
        statement = statement.where(AuditEntry.id < position.values[0])
    newest = db.session.scalar(statement.with_only_columns(func.max(AuditEntry.id))) or 0
    oldest = newest - SEARCHED_ENTRIES + 1
    has_text = or_(contains(AuditEntry.actor, text), contains(AuditEntry.target, text))
    page = paginate(statement.where(AuditEntry.id >= oldest, has_text), BY_ENTRY, None)
    if page.next_cursor or not db.session.scalar(
        select(statement.where(AuditEntry.id < oldest).with_only_columns(AuditEntry.id).exists())
    ):
        return page
    return replace(page, next_cursor=write_cursor(BY_ENTRY, (oldest,), is_backward=False))


def count_overview() -> dict[str, BoundedCount]:
    """Return the totals for the panel's overview."""
    return {
        "users": count_up_to(select(User)),
        "unconfirmed": count_up_to(select(User).where(User.confirmed_at.is_(None))),
        "blocked": count_up_to(select(User).where(User.blocked_at.is_not(None))),
        "mailings": count_up_to(select(Mailing)),
        "running": count_up_to(select(Mailing).where(Mailing.state == MailingState.RUNNING)),
        "disabled": count_up_to(select(Mailing).where(Mailing.disabled_at.is_not(None))),
    }
