"""Find clients who are probably the same person."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from skymailing.clients.distinct import find_all_groups, find_common_groups
from skymailing.clients.known_fields import list_known_attributes
from skymailing.email_addresses import person_key
from skymailing.extensions import db
from skymailing.models import Client

MAX_COMPARED = 100_000  # of the newest clients
MAX_SECONDS = 3.0  # time limit for a comparison
BATCH = 2_000  # rows between two checks of the time limit
MAX_PAIRS = 50  # to show; the last group is shown completely
MAX_MEMBERS = 20  # of a group
MAX_PHONES = 3  # attributes with phone numbers
# A client is in one group by name, one by mailbox, and one for each phone.
HIDDEN_BY_ONE = MAX_MEMBERS // 2 * MAX_PHONES
PHONE_NAME = re.compile(r"phone|mobile|телефон|мобильн|\bтел\b", re.IGNORECASE)
PHONE_DIGITS = 7  # minimum; only the last ten are compared, since a number may begin with either +7 or 8


class MatchKind(StrEnum):
    """A property that two clients have in common; the strongest evidence comes first."""

    MAILBOX = "mailbox"
    PHONE = "phone"
    NAME = "name"


class Obstacle(StrEnum):
    """Why a group cannot be hidden: this would also hide pairs that the group does not show."""

    SHOWN_ABOVE = "shown_above"  # some of its pairs
    SMALLER_GROUP = "smaller_group"  # of some of its clients, with other pairs


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clients, the older one first."""

    older: Client
    newer: Client


@dataclass(frozen=True, slots=True)
class Group:
    """Clients with something in common, the newest one first, and the pairs to compare."""

    match: MatchKind
    clients: Sequence[Client]
    pairs: Sequence[Pair]
    obstacle: Obstacle | None  # to hiding the group


@dataclass(slots=True)
class Comparison:
    """Groups of client IDs by the hash of what each has in common, and how many clients were compared."""

    groups: dict[int, tuple[MatchKind, list[int]]] = field(default_factory=dict)
    compared: int = 0
    is_complete: bool = True
    phones: Sequence[str] = ()  # names of the attributes that were compared


def find_duplicates(owner_id: int) -> tuple[list[Group], Comparison]:
    """Return likely duplicates among the owner's newest clients, and the comparison that found them.

    Groups whose clients the owner has marked as different people are left out.
    """
    distinct = find_all_groups(owner_id)
    number_hidden = len({group for groups in distinct.values() for group in groups})
    comparison = compare_clients(owner_id, MAX_PAIRS + HIDDEN_BY_ONE * number_hidden)
    order = list(MatchKind)
    found = sorted(comparison.groups.values(), key=lambda group: order.index(group[0]))
    listed = [(match, ids) for match, ids in found if not find_common_groups(ids, distinct)]
    shown = listed[:MAX_PAIRS]
    ids = {id for _match, members in shown for id in members}
    statement = select(Client).where(Client.owner_id == owner_id, Client.id.in_(ids))
    clients = {client.id: client for client in db.session.scalars(statement)}
    others = [members for _match, members in listed if ids.issuperset(members)]
    return list(_make_groups(shown, clients, comparison.phones, others)), comparison


def _make_groups(
    found: Sequence[tuple[MatchKind, list[int]]],
    clients: Mapping[int, Client],
    phones: Sequence[str],
    listed: Sequence[list[int]],
) -> Iterator[Group]:
    """Yield groups up to MAX_PAIRS pairs, each pair once; `listed` has the client IDs of all groups."""
    seen: set[tuple[int, int]] = set()
    for match, ids in found:
        if len(seen) >= MAX_PAIRS:
            return
        # A client may be gone by now.
        members = [clients[id] for id in ids if id in clients]
        newest = members[0] if members else None
        members = [client for client in members if newest and is_match(client, newest, match, phones)]
        pairs = [Pair(client, members[0]) for client in members[1:] if (client.id, members[0].id) not in seen]
        seen.update((pair.older.id, pair.newer.id) for pair in pairs)
        if pairs:
            yield Group(match, members, pairs, _find_obstacle(members, pairs, listed))


def _find_obstacle(
    members: Sequence[Client], pairs: Sequence[Pair], listed: Sequence[list[int]]
) -> Obstacle | None:
    if len(pairs) < len(members) - 1:
        return Obstacle.SHOWN_ABOVE
    return Obstacle.SMALLER_GROUP if _contains_other(members, listed) else None


def _contains_other(members: Sequence[Client], listed: Sequence[list[int]]) -> bool:
    """Return whether another group has only clients of this one, but other pairs.

    The user must decide about the smaller group first. One with the same newest client has the same pairs.
    """
    ids = {client.id for client in members}
    return any(other[0] != members[0].id and other[0] in ids and ids.issuperset(other) for other in listed)


def is_match(older: Client, newer: Client, match: MatchKind, phones: Sequence[str]) -> bool:
    """Return whether the clients really share a value, and not only its hash."""
    both = [
        {key for key in describe_row(list_values(client, phones)) if key[0] is match}
        for client in (older, newer)
    ]
    return not both[0].isdisjoint(both[1])


def list_values(client: Client, phones: Sequence[str]) -> Sequence[Any]:
    """Return a client's values in the order that `describe_row` expects."""
    return client.id, client.email_key, client.full_name, *(client.attributes.get(name) for name in phones)


def compare_clients(owner_id: int, max_groups: int) -> Comparison:
    """Compare the owner's clients, newest first, until all are compared or time runs out.

    At most `max_groups` groups of each kind are found, each with its MAX_MEMBERS newest clients.
    """
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
                if newer == row.id:
                    continue
                if hash(key) not in comparison.groups and counts[key[0]] < max_groups:
                    counts[key[0]] += 1
                    comparison.groups[hash(key)] = (key[0], [newer])
                _kind, ids = comparison.groups.get(hash(key), (None, []))
                if len(ids) < MAX_MEMBERS and row.id not in ids:
                    ids.append(row.id)
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
