"""Query senders and returned letters for the panel."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, case, cast, func, or_, select
from sqlalchemy.orm import contains_eager

from skymailing.db.pagination import Page, paginate
from skymailing.delivery.reputation import MIN_LETTERS
from skymailing.manager.queries import contains, matches_user
from skymailing.models import (
    SHOWN_KINDS,
    Reputation,
    ReturnedLetter,
    ReturnedState,
    Sender,
    UsageHour,
    UsageKind,
    User,
)
from skymailing.quotas.counting import hour_of

PROBLEMS = (UsageKind.BOUNCES, UsageKind.COMPLAINTS)
RATED_DAYS = 30
MILLION = 1_000_000
TEXT_SHOWN = 4000  # bytes of a returned letter


def list_owners(
    text: str, order: UsageKind, is_paused: bool | None, now: datetime, cursor: str | None
) -> Page:
    """Return a page of rows (User, letters, bounces, complaints, accepted, paused_at) of the last 30 days.

    Rows are sorted by letters or accepted letters, most first, or by the share of bounces or complaints,
    worst first. Owners with too few letters for a share come last.
    """
    sums = [_sum(kind).label(kind.value) for kind in SHOWN_KINDS]
    counted = UsageHour.begins_at >= hour_of(now - timedelta(days=RATED_DAYS))
    totals = (
        select(UsageHour.owner_id, *sums)
        .where(UsageHour.kind.in_(SHOWN_KINDS), counted)
        .group_by(UsageHour.owner_id)
        .having(_sum(UsageKind.LETTERS) > 0)
        .subquery()
    )
    # Integers, which a cursor reproduces exactly.
    share = case(
        (totals.c.letters >= MIN_LETTERS, totals.c[order.value] * MILLION // totals.c.letters), else_=0
    )
    statement = (
        select(User, *(totals.c[kind.value] for kind in SHOWN_KINDS), Reputation.paused_at)
        .join(totals, totals.c.owner_id == User.id)
        .outerjoin(Reputation, Reputation.owner_id == User.id)
    )
    if text:
        statement = statement.where(matches_user(text))
    if is_paused is not None:
        statement = statement.where(Reputation.paused_at.is_not(None) == is_paused)
    ranked = share if order in PROBLEMS else totals.c[order.value]
    return paginate(statement, [(ranked, True), (User.id, True)], cursor)


def _sum(kind: UsageKind) -> Any:
    return cast(func.sum(case((UsageHour.kind == kind, UsageHour.count), else_=0)), BigInteger)


def list_unclear(cursor: str | None) -> Page:
    """Return a page of rows (id, received_at, source, text in bytes) of letters whose owner is unknown."""
    text = func.substr(ReturnedLetter.raw, 1, TEXT_SHOWN, type_=LargeBinary)
    statement = select(
        ReturnedLetter.id, ReturnedLetter.received_at, ReturnedLetter.source, text.label("text")
    ).where(ReturnedLetter.state == ReturnedState.UNCLEAR, ReturnedLetter.owner_id.is_(None))
    return paginate(statement, [(ReturnedLetter.id, True)], cursor)


def list_senders(text: str, is_confirmed: bool | None, cursor: str | None) -> Page:
    """Return a page of all users' senders with their owners, newest first."""
    statement = select(Sender).join(Sender.owner).options(contains_eager(Sender.owner))
    if text:
        statement = statement.where(or_(contains(Sender.address, text), matches_user(text)))
    if is_confirmed is not None:
        statement = statement.where(Sender.confirmed_at.is_not(None) == is_confirmed)
    return paginate(statement, [(Sender.id, True)], cursor)
