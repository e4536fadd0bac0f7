"""Read returned letters and their reports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from skymailing.db.pagination import Page, paginate
from skymailing.email_addresses import address_pattern
from skymailing.extensions import db
from skymailing.mailings.log_queries import format_time
from skymailing.models import Bounce, BounceKind, Client, Mailing, Proof, ReturnedLetter, ReturnedState, User

CHUNK = 1000  # rows per transaction
COLUMNS = ("time", "email", "mailing", "verdict", "proof", "status", "answer", "server")


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """A filter for an owner's returned letters; empty values match all."""

    owner_id: int
    kind: BounceKind | None = None
    is_unclear: bool = False
    address: str = ""


def export_returns(filter: ReturnFilter) -> Iterator[Sequence[Any]]:
    """Yield a header row, then a row per report in the owner's returned letters, oldest first."""
    yield COLUMNS
    found = _apply(filter, select(Bounce, Mailing.name).outerjoin(Mailing, Mailing.id == Bounce.mailing_id))
    last = 0
    while True:
        rows = db.session.execute(found.where(Bounce.id > last).order_by(Bounce.id).limit(CHUNK)).tuples()
        chunk = [(bounce.id, _list_cells(bounce, name or "")) for bounce, name in rows]
        db.session.rollback()
        yield from (cells for _, cells in chunk)
        if len(chunk) < CHUNK:
            return
        last = chunk[-1][0]


def _list_cells(bounce: Bounce, mailing: str) -> Sequence[Any]:
    return (
        format_time(bounce.received_at),
        bounce.email_key,
        mailing,
        bounce.kind.value,
        bounce.proof.value,
        bounce.status,
        bounce.diagnostic,
        bounce.remote_mta,
    )


def list_returns(filter: ReturnFilter, cursor: str | None) -> Page:
    """Return a page of the rows of `select_returns`, newest first."""
    return paginate(select_returns(filter), [(Bounce.id, True)], cursor)


def select_returns(filter: ReturnFilter) -> Select[Any]:
    """Return a statement for (Bounce, mailing name, ID of the client) rows."""
    is_client = (Client.owner_id == Bounce.owner_id) & (Client.email_key == Bounce.email_key)
    found = (
        select(Bounce, Mailing.name.label("mailing_name"), Mailing.kind, Client.id.label("client_id"))
        .outerjoin(Mailing, Mailing.id == Bounce.mailing_id)
        .outerjoin(Client, is_client)
    )
    return _apply(filter, found)


def _apply(filter: ReturnFilter, statement: Select[Any]) -> Select[Any]:
    statement = statement.where(Bounce.owner_id == filter.owner_id)
    if filter.kind is not None:
        statement = statement.where(Bounce.kind == filter.kind)
    if filter.is_unclear:
        statement = statement.where(Bounce.proof == Proof.ADDRESS)
    if filter.address:
        pattern = address_pattern(filter.address)
        statement = statement.where(Bounce.email_key.contains(pattern, autoescape=True))
    return statement


def list_letters(only_unclear: bool, limit: int) -> list[tuple[ReturnedLetter, str | None]]:
    """Return the newest returned letters of all users, each with its owner's address if known."""
    statement = (
        select(ReturnedLetter, User.email)
        .outerjoin(User, User.id == ReturnedLetter.owner_id)
        .order_by(ReturnedLetter.id.desc())
        .limit(limit)
    )
    if only_unclear:
        statement = statement.where(ReturnedLetter.state == ReturnedState.UNCLEAR)
    return [(letter, email) for letter, email in db.session.execute(statement).tuples()]


def list_reports(letter_ids: Sequence[int]) -> dict[int, list[Bounce]]:
    """Return these letters' reports, by letter ID."""
    found: dict[int, list[Bounce]] = {}
    for bounce in db.session.scalars(select(Bounce).where(Bounce.letter_id.in_(letter_ids))):
        if bounce.letter_id is not None:
            found.setdefault(bounce.letter_id, []).append(bounce)
    return found
