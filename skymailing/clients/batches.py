"""Add or update several clients at once, with a separate result for each row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, String, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from skymailing.clients.attribute_types import learn_types
from skymailing.clients.cleaning import clean_attributes, clean_comment, clean_name
from skymailing.clients.columns import attribute_key
from skymailing.clients.imported_tags import tag_clients
from skymailing.clients.rows import ClientRow
from skymailing.clients.tags import (
    MAX_TAGS,
    MAX_TAGS_OF_CLIENT,
    InvalidTag,
    clean_tag,
    find_tags,
    list_keys,
    tag_key,
)
from skymailing.clients.time_zones import clean_timezone
from skymailing.clients.upsert import upsert_clients
from skymailing.db.text_search import is_sqlite
from skymailing.email_addresses import address_key, parse_recipient
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, Origin
from skymailing.quotas.checks import LimitReached, count_up_to, select_clients
from skymailing.settings.quotas import quota_settings


class Verdict(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of a row; `error` is the reason if it was rejected."""

    verdict: Verdict
    client_id: int | None = None
    error: UserError | None = None


@dataclass(frozen=True, slots=True)
class ExistingClient:
    """A client as it was before the batch."""

    id: int
    full_name: str
    comment: str
    timezone: str
    attributes: Mapping[str, str]
    tags: frozenset[str]

    def lacks(self, row: ClientRow) -> bool:
        """Return whether the row has a non-empty value or a tag that the client does not have."""
        return (
            row.full_name not in ("", self.full_name)
            or row.comment not in ("", self.comment)
            or row.timezone not in ("", self.timezone)
            or any(self.attributes.get(name) != value for name, value in row.attributes.items())
            or any(tag_key(name) not in self.tags for name in row.tags)
        )


def read_row(
    email: str,
    full_name: str,
    comment: str,
    timezone: str,
    attributes: Mapping[str, str | None],
    tags: Iterable[str],
) -> ClientRow:
    """Return a row with cleaned values; raises UserError."""
    address = parse_recipient(email)
    given = [(name, value) for name, value in key_attributes(attributes).items() if value]
    return ClientRow(
        email=address,
        email_key=address_key(address),
        full_name=clean_name(full_name),
        comment=clean_comment(comment),
        timezone=clean_timezone(timezone),
        attributes=clean_attributes(given),
        tags=tuple(clean_tags(tags)),
    )


def key_attributes(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return attributes by the keys under which they are stored; raises UserError.

    A name must have a letter or a digit, and two names must not differ only in case, spaces or symbols.
    """
    keyed = {attribute_key(name): value for name, value in values.items()}
    if "" in keyed:
        raise UserError("client_attribute_unnamed")
    if len(keyed) < len(values):
        raise UserError("client_attribute_twice")
    return keyed


def clean_tags(names: Iterable[str]) -> list[str]:
    """Return the names of tags, each once; raises InvalidTag."""
    cleaned = {tag_key(name): name for name in map(clean_tag, names) if name}
    if len(cleaned) > MAX_TAGS_OF_CLIENT:
        raise InvalidTag("client_too_many_tags", limit=MAX_TAGS_OF_CLIENT)
    return list(cleaned.values())


def save_batch(owner_id: int, rows: Sequence[ClientRow | UserError], now: datetime) -> list[RowResult]:
    """Save the rows and return the result of each; an error in place of a row becomes its result.

    Empty values change nothing, tags are added, and the address of an existing client keeps its spelling.
    """
    known = find_existing(owner_id, [row for row in rows if isinstance(row, ClientRow)])
    rows = refuse_excess(owner_id, rows, known)
    seen: dict[str, ClientRow] = {}
    verdicts: list[Verdict | UserError] = []
    for row in rows:
        if isinstance(row, UserError):
            verdicts.append(row)
            continue
        verdicts.append(judge(row, seen.get(row.email_key), known.get(row.email_key)))
        earlier = seen.get(row.email_key)
        seen[row.email_key] = earlier.merge(row) if earlier else row
    changed = [row for key, row in seen.items() if key not in known or known[key].lacks(row)]
    if changed:
        upsert_clients(owner_id, changed, now, Origin.PROGRAM)
        tag_clients(owner_id, changed)
        learn_types(owner_id, changed)
    ids = {key: client.id for key, client in known.items()}
    ids |= find_ids(owner_id, [key for key in seen if key not in known])
    return [
        RowResult(Verdict.REFUSED, error=verdict)
        if isinstance(verdict, UserError)
        else RowResult(verdict, ids.get(row.email_key) if isinstance(row, ClientRow) else None)
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


def judge(row: ClientRow, earlier: ClientRow | None, known: ExistingClient | None) -> Verdict:
    """Return what a row does to its client; `earlier` combines previous rows with the same address."""
    if earlier is not None:
        merged = earlier.merge(row)
        is_same = merged[:6] == earlier[:6] and set(merged.tags) == set(earlier.tags)
        return Verdict.UNCHANGED if is_same else Verdict.UPDATED
    if known is None:
        return Verdict.CREATED
    return Verdict.UPDATED if known.lacks(row) else Verdict.UNCHANGED


def find_existing(owner_id: int, rows: Sequence[ClientRow]) -> dict[str, ExistingClient]:
    """Return the clients that already exist, by address key."""
    keys = sorted({row.email_key for row in rows})
    columns = (
        *(Client.email_key, Client.id, Client.full_name, Client.comment, Client.timezone),
        Client.attributes,
    )
    found = db.session.execute(select_by_keys(owner_id, keys, columns)).all()
    tagged = {row.email_key for row in rows if row.tags}
    tags = find_tags([row.id for row in found if row.email_key in tagged]) if tagged else {}
    return {
        row.email_key: ExistingClient(
            *(row.id, row.full_name, row.comment, row.timezone, row.attributes),
            frozenset(map(tag_key, tags.get(row.id, ()))),
        )
        for row in found
    }


def find_ids(owner_id: int, keys: Sequence[str]) -> dict[str, int]:
    if not keys:
        return {}
    rows = db.session.execute(select_by_keys(owner_id, keys, (Client.email_key, Client.id)))
    return dict(rows.tuples().all())


def select_by_keys(owner_id: int, keys: Sequence[str], columns: Sequence[Any]) -> Select[Any]:
    """Return a statement for columns of the owner's clients with these address keys."""
    own = select(*columns).where(Client.owner_id == owner_id)
    if is_sqlite():
        return own.where(Client.email_key.in_(keys))
    # PostgreSQL has no statistics for a table that is still being filled, and would scan the whole address
    # book; the limit makes it look up each key.
    given = select(func.unnest(literal(keys, ARRAY(String))).label("key")).subquery()
    found = own.where(Client.email_key == given.c.key).limit(1).lateral()
    return select(*found.c).select_from(given).join(found, true())


def refuse_excess(
    owner_id: int, rows: Sequence[ClientRow | UserError], known: Mapping[str, ExistingClient]
) -> list[ClientRow | UserError]:
    """Return the rows; those that exceed the owner's client or tag limit are replaced with errors."""
    limit = quota_settings().clients
    new = {row.email_key for row in rows if isinstance(row, ClientRow)} - known.keys()
    room = limit - count_up_to(select_clients(owner_id), limit) if limit and new else len(new)
    has_tags = any(isinstance(row, ClientRow) and row.tags for row in rows)
    tags = list_keys(owner_id) if has_tags else set()
    added: set[str] = set()
    result: list[ClientRow | UserError] = []
    for row in rows:
        if isinstance(row, UserError):
            result.append(row)
            continue
        new_tags = {tag_key(name) for name in row.tags} - tags
        if row.email_key not in known and row.email_key not in added and len(added) >= room:
            result.append(LimitReached("client_limit", limit))
        elif new_tags and len(tags) + len(new_tags) > MAX_TAGS:
            result.append(InvalidTag("tag_limit", limit=MAX_TAGS))
        else:
            tags |= new_tags
            if row.email_key not in known:
                added.add(row.email_key)
            result.append(row)
    return result
