"""Read and change what a route remembers about its mail server, across workers and restarts.

The memory is part of the route's row, and is read together with the state of the breaker, before each window.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import BreakerState, Route


@dataclass(frozen=True, slots=True)
class RouteMemory:
    """The part of a route's row that a worker needs before it sends letters through the route."""

    pace: float | None = None  # letters per second; None if the server has not asked us to slow down
    pace_changed_at: datetime | None = None
    paused_until: datetime | None = None
    refusals_in_a_row: int = 0
    step_by_step_since: datetime | None = None  # when its PIPELINING turned out not to work
    bounce_address: str = ""  # the address whose return paths with a token have been proven to work

    @classmethod
    def of(cls, row: Row[tuple[object, ...]] | None) -> Self:
        """Return the memory from a row with COLUMNS; empty if there is no row."""
        return cls() if row is None else cls(*(getattr(row, name) for name in cls.__slots__))


COLUMNS = tuple(getattr(Route, name) for name in RouteMemory.__slots__)


def set_no_pipelining(name: str, since: datetime | None) -> None:
    """Store when the route stopped using pipelining; None if it uses it."""
    with Session(db.engine) as session, session.begin():
        lock_route(session, name).step_by_step_since = since


def stop_using_return_paths(name: str, reply: str) -> None:
    """Stop using return paths with a token on the route, because its server has refused one."""
    with Session(db.engine) as session, session.begin():
        route = lock_route(session, name)
        route.bounce_address = ""
        route.probe = route.probe | {"return_path_problem": reply[:500]}


def lock_route(session: Session, name: str) -> Route:
    """Return the route's row, locked until the transaction ends; create it if it is missing."""
    first = {
        "name": name,
        "state": BreakerState.CLOSED,
        "open_seconds": 0,
        "faults_in_a_row": 0,
        "last_fault": "",
    }
    session.execute(insert_into(Route).on_conflict_do_nothing(), first)
    return session.scalars(select(Route).where(Route.name == name).with_for_update()).one()
