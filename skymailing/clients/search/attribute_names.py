"""Keep the names of attributes, which the columns of an export depend on.

The job that updates the search index reads each changed client anyway. It adds the names that it finds, and
removes names that no client has any longer.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import FromClause, delete, func, select, true, update

from skymailing.db.engine import insert_into
from skymailing.db.text_search import is_sqlite
from skymailing.extensions import db
from skymailing.models import AttributeName, Client, ClientToIndex

CHECK_INTERVAL = timedelta(days=1)


def list_names(owner_id: int) -> list[str]:
    """Return the names of all attributes that any of the owner's clients has, sorted.

    A name that no client has any longer may be among them for about a day.
    """
    # The clients that the job has not read yet come first: it might read them between the two statements.
    waiting = select(ClientToIndex.client_id).where(ClientToIndex.owner_id == owner_id)
    pairs = _expand()
    names = select(pairs.c.key).select_from(Client).join(pairs, true())
    changed = names.where(Client.owner_id == owner_id, Client.id.in_(waiting)).distinct()
    found = set(db.session.scalars(changed))
    return sorted(found.union(db.session.scalars(_select_names(owner_id))))


def _select_names(owner_id: int) -> Any:
    return select(AttributeName.name).where(AttributeName.owner_id == owner_id)


def _expand() -> FromClause:
    function = func.json_each if is_sqlite() else func.jsonb_each
    return function(Client.attributes).table_valued("key", "value", name="pairs")


def add_names(found: Iterable[tuple[int, str]], now: datetime) -> None:
    """Add the names of owners' attributes, in the current transaction."""
    rows = [{"owner_id": owner_id, "name": name, "checked_at": now} for owner_id, name in sorted(found)]
    if rows:
        db.session.execute(insert_into(AttributeName).on_conflict_do_nothing(), rows)


def check_next(now: datetime) -> bool:
    """Check the name that was checked first, and remove it if no client has it; return False if none is due.

    If a client gets the attribute in between, the job reads the client afterwards and adds the name again.
    """
    due = select(AttributeName).where(AttributeName.checked_at < now - CHECK_INTERVAL)
    found = db.session.scalar(due.order_by(AttributeName.checked_at).limit(1))
    if found is None:
        return False
    owner_id, name = found.owner_id, found.name
    pairs = _expand()
    has_it = select(Client.id).join(pairs, true()).where(Client.owner_id == owner_id, pairs.c.key == name)
    is_used = bool(db.session.scalar(select(has_it.exists())))
    is_this = (AttributeName.owner_id == owner_id) & (AttributeName.name == name)
    change = update(AttributeName).values(checked_at=now) if is_used else delete(AttributeName)
    db.session.execute(change.where(is_this))
    return True
