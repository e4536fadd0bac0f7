"""Find the letters to an address without reading every attempt of their owner."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, literal_column, select

from skymailing.clients.search.index import find_candidates
from skymailing.db.engine import is_in
from skymailing.email_addresses import address_pattern
from skymailing.extensions import db
from skymailing.models import Client, Consent, Delivery, MergedAddress

MAX_CLIENTS = 2_000
MAX_LETTERS = 20_000
# Letters without a client whose addresses are compared with a part of an address. They are not many, unless
# a lot of clients were deleted or programs send many transactional letters.
MAX_DETACHED = 100_000
# Exactly as in the index: SQLite does not recognize that "previous_key != ''" means the same.
WAS_CHANGED: ColumnElement[bool] = literal_column("consents.previous_key <> ''")


def find_letters(owner_id: int, text: str) -> list[int] | None:
    """Return the IDs of the letters to an address, or to addresses that contain the text.

    They include letters to addresses that have been changed since, and may include those of other owners.
    Return None if there may be too many to list. A complete address finds no longer addresses.
    """
    key = address_pattern(text)
    if "@" in key and (letters := _find(owner_id, [key], Delivery.email_key == key)):
        return letters if len(letters) <= MAX_LETTERS else None
    part = Delivery.email_key.contains(key, autoescape=True)
    keys = _find_keys(owner_id, key)
    if keys is None or _are_too_many_detached():
        return None
    letters = _find(owner_id, keys, part)
    return letters if len(letters) <= MAX_LETTERS else None


def _find(owner_id: int, keys: Sequence[str], condition: ColumnElement[bool]) -> list[int]:
    """Return the letters that meet a condition and belong to these clients, or to none."""
    own = select(Client.id).where(Client.owner_id == owner_id)
    client_ids = db.session.scalars(own.where(Client.email_key.in_(_follow_changes(owner_id, keys)))).all()
    letters = select(Delivery.id).where(condition)
    found: list[int] = []
    for statement in (
        letters.where(is_in(Delivery.client_id, client_ids)) if client_ids else None,
        letters.where(Delivery.client_id.is_(None)),
    ):
        if statement is not None:
            found += db.session.scalars(statement.limit(MAX_LETTERS + 1))
    return found


def _follow_changes(owner_id: int, keys: Collection[str]) -> set[str]:
    """Return these addresses and those that replaced them, directly or step by step."""
    known, new = set(keys), set(keys)
    while new:
        changed = select(Consent.email_key).where(
            Consent.owner_id == owner_id, WAS_CHANGED, Consent.previous_key.in_(new)
        )
        merged = select(MergedAddress.kept_key).where(
            MergedAddress.owner_id == owner_id, MergedAddress.email_key.in_(new)
        )
        new = set(db.session.scalars(changed.union(merged))) - known
        known |= new
    return known


def _find_keys(owner_id: int, part: str) -> list[str] | None:
    """Return the addresses of clients, now or earlier, that contain the text; None if there are too many."""
    candidates = find_candidates(owner_id, [part], MAX_CLIENTS)
    if candidates is None or len(candidates) >= MAX_CLIENTS:
        return None
    own = select(Client.email_key).where(is_in(Client.id, candidates), Client.owner_id == owner_id)
    changed = select(Consent.previous_key).where(Consent.owner_id == owner_id, WAS_CHANGED)
    merged = select(MergedAddress.email_key).where(MergedAddress.owner_id == owner_id)
    found: list[str] = []
    for statement, key in (
        (own, Client.email_key),
        (changed, Consent.previous_key),
        (merged, MergedAddress.email_key),
    ):
        contains = key.contains(part, autoescape=True)
        found += db.session.scalars(statement.where(contains).limit(MAX_CLIENTS))
    return found if len(found) < MAX_CLIENTS else None


def _are_too_many_detached() -> bool:
    some = select(Delivery.id).where(Delivery.client_id.is_(None)).limit(MAX_DETACHED + 1)
    return (db.session.scalar(select(func.count()).select_from(some.subquery())) or 0) > MAX_DETACHED
