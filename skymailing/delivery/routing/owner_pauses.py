"""Pause the letters of one user on a route that refuses them but accepts other users' letters.

A mail server may end its sessions because of what one user's letters contain. When this opens a route's
breaker, other users may probe the route at once (`routes`). If the server accepts their letter, the fault is
tied to the first user's letters, and only these are paused. If it refuses that letter too, both users wait,
and the next one may probe: a server that refuses everyone gets one letter from each user.

After the pause, one letter tests whether the server accepts them again; until it does, its faults count for
this user, and not for the route.
"""

import contextlib
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import OwnerPause, Route, User
from skymailing.settings.engine import engine_settings

ACCOUNT_LETTERS = 0  # used as the owner of account letters; they are never paused
RETENTION = timedelta(days=1)  # how long an ended pause is kept if no letter has tested it


def has_route(routes: list[str], now: datetime) -> ColumnElement[bool]:
    """Return the condition that at least one of these routes is not paused for the owner, joined as User."""
    pauses = (
        select(func.count())
        .where(OwnerPause.owner_id == User.id, OwnerPause.route.in_(routes), OwnerPause.until > now)
        .correlate(User)
    )
    return pauses.scalar_subquery() < len(routes)


def start(session: Session, route: Route, now: datetime) -> None:
    """Pause the owner whose letters opened the route's breaker, for as long as the breaker was open."""
    if not route.blamed_owner_id:
        return  # account letters
    values = _make_values(route.open_seconds, route.last_fault, now)
    key = {"route": route.name, "owner_id": route.blamed_owner_id}
    insert = insert_into(OwnerPause).values(key | values)
    with contextlib.suppress(IntegrityError), session.begin_nested():  # the user may have been deleted since
        session.execute(insert.on_conflict_do_update(index_elements=list(key), set_=values))


def extend(route: str, owner_id: int, reply: str, now: datetime) -> None:
    """Pause the owner again, for twice as long as before."""
    with Session(db.engine) as session, session.begin():
        pause = session.get(OwnerPause, (route, owner_id), with_for_update=True)
        if pause and pause.until <= now:  # else another worker has just extended it
            for column, value in _make_values(pause.seconds * 2, reply, now).items():
                setattr(pause, column, value)


def end(route: str, owner_id: int | None = None) -> None:
    """End the pause of an owner, or of all owners, on the route."""
    is_selected = OwnerPause.route == route
    if owner_id is not None:
        is_selected &= OwnerPause.owner_id == owner_id
    with Session(db.engine) as session, session.begin():
        session.execute(delete(OwnerPause).where(is_selected))


def delete_old(now: datetime) -> None:
    """Delete old pauses whose owners have sent nothing since the pause ended."""
    with Session(db.engine) as session, session.begin():
        session.execute(delete(OwnerPause).where(OwnerPause.until < now - RETENTION))


def _make_values(seconds: int, reply: str, now: datetime) -> dict[str, object]:
    settings = engine_settings()
    seconds = min(settings.breaker_longest_pause, seconds or settings.breaker_first_pause)
    return {"seconds": seconds, "until": now + timedelta(seconds=seconds), "reply": reply[:500]}
