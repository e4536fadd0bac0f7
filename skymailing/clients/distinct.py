"""Remember which clients look like duplicates, but are different people."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ScalarSelect, Select, delete, func, insert, select

from skymailing.clients.locking import make_locking_order
from skymailing.db.pagination import Page, paginate
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, DistinctGroup, distinct_clients
from skymailing.quotas.locking import lock_owner

MAX_GROUPS = 2_000  # of an owner
MEMBERSHIPS = select(distinct_clients.c.client_id, distinct_clients.c.group_id)
NEWEST_FIRST = ((DistinctGroup.id, True),)

Members = dict[int, set[int]]  # the groups of each client, by ID


def mark_distinct(owner_id: int, client_ids: Iterable[int], now: datetime) -> DistinctGroup | None:
    """Remember that these clients are different people; return the new group, None if one has them already.

    Raises UserError if fewer than two of them exist, or if there are too many groups.
    """
    # Two windows must not store the same group, nor exceed the limit.
    lock_owner(owner_id)
    own = select(Client.id).where(Client.owner_id == owner_id, Client.id.in_(list(client_ids)))
    # A client who is being deleted must not be added to a group.
    locked = own.order_by(make_locking_order()).with_for_update(read=True, key_share=True)
    found = db.session.scalars(locked).all()
    if len(found) < 2:
        raise UserError("client_gone")
    if find_common_groups(found, find_groups(found)):
        return None
    if _count_groups(owner_id) >= MAX_GROUPS:
        _remove_leftovers(owner_id)
    if _count_groups(owner_id) >= MAX_GROUPS:
        raise UserError("distinct_limit", limit=MAX_GROUPS)
    group = DistinctGroup(owner_id=owner_id, created_at=now)
    db.session.add(group)
    db.session.flush()
    _add([(group.id, client_id) for client_id in found])
    return group


def find_groups(client_ids: Collection[int]) -> Members:
    """Return the groups of each of the clients."""
    return _collect(MEMBERSHIPS.where(distinct_clients.c.client_id.in_(client_ids)))


def find_all_groups(owner_id: int) -> Members:
    """Return the groups of each of the owner's clients; a client without any is left out."""
    rows = MEMBERSHIPS.join(DistinctGroup, DistinctGroup.id == distinct_clients.c.group_id)
    return _collect(rows.where(DistinctGroup.owner_id == owner_id))


def find_common_groups(client_ids: Sequence[int], groups: Mapping[int, set[int]]) -> set[int]:
    """Return the groups that contain all of these clients."""
    return set.intersection(*(groups.get(client_id, set()) for client_id in client_ids))


def list_groups(owner_id: int, cursor: str | None) -> tuple[Page, dict[int, list[Client]]]:
    """Return a page of the owner's groups that hide something, and the clients of each by the group's ID."""
    own = select(DistinctGroup).where(DistinctGroup.owner_id == owner_id, _count_members() > 1)
    page = paginate(own, NEWEST_FIRST, cursor)
    rows = select(distinct_clients.c.group_id, Client)
    rows = rows.join(Client, Client.id == distinct_clients.c.client_id).order_by(Client.id)
    members: dict[int, list[Client]] = {group.id: [] for group in page}
    for group_id, client in db.session.execute(rows.where(distinct_clients.c.group_id.in_(members))).tuples():
        members[group_id].append(client)
    return page, members


def restore_memberships(owner_id: int, memberships: Mapping[int, Sequence[int]]) -> None:
    """Put restored clients back into their groups; the key is a client's ID."""
    wanted = {group_id for ids in memberships.values() for group_id in ids}
    if not wanted:
        return
    own = select(DistinctGroup.id).where(DistinctGroup.owner_id == owner_id, DistinctGroup.id.in_(wanted))
    # A group that another window is removing is left out.
    locked = own.order_by(DistinctGroup.id).with_for_update(read=True, key_share=True)
    existing = set(db.session.scalars(locked))
    _add([(group, client) for client, ids in memberships.items() for group in ids if group in existing])


def _add(pairs: Sequence[tuple[int, int]]) -> None:
    if pairs:
        rows = [{"group_id": group_id, "client_id": client_id} for group_id, client_id in pairs]
        db.session.execute(insert(distinct_clients), rows)


def _collect(memberships: Select[tuple[int, int]]) -> Members:
    groups: Members = {}
    for client_id, group_id in db.session.execute(memberships).tuples():
        groups.setdefault(client_id, set()).add(group_id)
    return groups


def _count_groups(owner_id: int) -> int:
    return db.session.scalar(select(func.count()).where(DistinctGroup.owner_id == owner_id)) or 0


def _remove_leftovers(owner_id: int) -> None:
    """Remove groups that hide nothing, because their clients have been deleted."""
    leftover = (DistinctGroup.owner_id == owner_id) & (_count_members() < 2)
    db.session.execute(
        delete(DistinctGroup).where(leftover), execution_options={"synchronize_session": False}
    )


def _count_members() -> ScalarSelect[int]:
    return select(func.count()).where(distinct_clients.c.group_id == DistinctGroup.id).scalar_subquery()
