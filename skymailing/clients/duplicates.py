"""Find pairs of clients who are probably the same person."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from skymailing.clients.queries import list_known_attributes
from skymailing.email_addresses import person_key
from skymailing.extensions import db
from skymailing.models import Client

MAX_COMPARED = 100_000  # of the newest clients
MAX_SECONDS = 3.0  # time limit for a comparison
BATCH = 2_000  # rows between two checks of the time limit
MAX_PAIRS = 50  # per kind
MAX_PHONES = 3  # attributes with phone numbers
PHONE_NAME = re.compile(r"phone|mobile|телефон|мобильн|\bтел\b", re.IGNORECASE)
PHONE_DIGITS = 7  # minimum; only the last ten are compared, since a number may begin with either +7 or 8


class MatchKind(StrEnum):
    """A property that two clients have in common; the strongest evidence comes first."""

    MAILBOX = "mailbox"
    PHONE = "phone"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clients, the older one first."""

    older: Client
    newer: Client
    match: MatchKind


@dataclass(slots=True)
class Comparison:
    """Pairs of client IDs with the property that each pair shares, and the number of compared clients."""

    pairs: dict[tuple[int, int], MatchKind] = field(default_factory=dict)
    compared: int = 0
    is_complete: bool = True
    phones: Sequence[str] = ()  # names of the attributes that were compared


def find_duplicates(owner_id: int) -> tuple[list[Pair], Comparison]:
    """Return likely pairs among the owner's newest clients, and the comparison that found them."""
    comparison = compare_clients(owner_id)
    order = list(MatchKind)
    chosen = sorted(comparison.pairs.items(), key=lambda item: order.index(item[1]))[:MAX_PAIRS]
    ids = {id for pair, _match in chosen for id in pair}
    statement = select(Client).where(Client.owner_id == owner_id, Client.id.in_(ids))
    clients = {client.id: client for client in db.session.scalars(statement)}
    pairs = [
        Pair(clients[older], clients[newer], match)
        for (older, newer), match in chosen
        if older in clients and newer in clients  # one may have been deleted since
    ]
    return [pair for pair in pairs if is_match(pair, comparison.phones)], comparison


def is_match(pair: Pair, phones: Sequence[str]) -> bool:
    """Return whether the clients really share a value, and not only its hash."""
    older, newer = (
        {key for key in describe_row(list_values(client, phones)) if key[0] is pair.match}
        for client in (pair.older, pair.newer)
    )
    return not older.isdisjoint(newer)


def list_values(client: Client, phones: Sequence[str]) -> Sequence[Any]:
    """Return a client's values in the order that `describe_row` expects."""
    return client.id, client.email_key, client.full_name, *(client.attributes.get(name) for name in phones)


def compare_clients(owner_id: int) -> Comparison:
    """Compare the owner's clients, newest first, until all are compared or time runs out."""
    phones = [name for name in list_known_attributes(owner_id) if PHONE_NAME.search(name)][:MAX_PHONES]
    columns = (Client.id, Client.email_key, Client.full_name)
    values = [Client.attributes[name].as_string() for name in phones]
    newest = select(*columns, *values).where(Client.owner_id == owner_id).order_by(Client.id.desc())
    rows = db.session.execute(newest.limit(MAX_COMPARED + 1), execution_options={"yield_per": BATCH})
    # IDs by the hashes of values, because the values of many clients would need too much memory.
    comparison, first, counts = Comparison(phones=phones), dict[int, int](), dict.fromkeys(MatchKind, 0)
    ends_at = time.monotonic() + MAX_SECONDS
    for batch in rows.partitions():
        if comparison.compared >= MAX_COMPARED or time.monotonic() > ends_at:
            comparison.is_complete = False
            break
        for row in batch:
            for key in describe_row(row):
                newer = first.setdefault(hash(key), row.id)
                if newer != row.id and counts[key[0]] < MAX_PAIRS:
                    counts[key[0]] += (row.id, newer) not in comparison.pairs
                    comparison.pairs.setdefault((row.id, newer), key[0])
        comparison.compared += len(batch)
    rows.close()
    return comparison


def describe_row(row: Any) -> Iterator[tuple[MatchKind, str]]:
    """Yield the values that a duplicate of the client would share."""
    _id, email_key, full_name, *phones = row
    yield MatchKind.MAILBOX, person_key(email_key)
    for phone in phones:
        digits = re.sub(r"\D", "", str(phone or ""))
        if len(digits) >= PHONE_DIGITS:
            yield MatchKind.PHONE, digits[-10:]
    if name := " ".join(full_name.lower().split()):
        yield MatchKind.NAME, name
