"""Read the state of the service for the panel's overview: the queue, mail servers and returned mail."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from redis import RedisError
from sqlalchemy import ColumnElement, func, literal_column, select

from skymailing import counters, queue, schedule
from skymailing.delivery.routing import routes
from skymailing.extensions import db
from skymailing.models import BreakerState, OwnerPause, ReturnedLetter, Route
from skymailing.monitoring import queries
from skymailing.monitoring.queries import Waiting
from skymailing.settings.returned_mail import returned_mail_settings


@dataclass(frozen=True, slots=True)
class Programs:
    """What Redis knows about the programs; without Redis, nothing but the default values."""

    is_redis_up: bool = False
    workers: int = 0
    is_scheduler_up: bool = False
    waiting: int = 0  # jobs
    swept_at: datetime | None = None
    mailbox_read_at: datetime | None = None
    mailbox_failed_at: datetime | None = None


def read_programs() -> Programs:
    """Return the state of the workers, the scheduler and the queue."""
    try:
        gauges = counters.read()
        return Programs(
            is_redis_up=True,
            workers=queue.count_workers(),
            is_scheduler_up=schedule.is_alive(),
            waiting=sum(queue.count_waiting().values()),
            swept_at=_read_time(gauges, "last_sweep"),
            mailbox_read_at=_read_time(gauges, "mailbox_read"),
            mailbox_failed_at=_read_time(gauges, "mailbox_failed"),
        )
    except RedisError:
        return Programs()


def _read_time(gauges: dict[str, float], name: str) -> datetime | None:
    return datetime.fromtimestamp(gauges[name], UTC) if gauges.get(name) else None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent: since when mailings do, and the account letters."""

    oldest_due: datetime | None
    account_letters: Waiting


def measure_backlog(now: datetime) -> Backlog:
    """Return what waits to be sent."""
    return Backlog(queries.find_oldest_due(now), queries.measure_outbox(now))


@dataclass(frozen=True, slots=True)
class Server:
    """One of the installation's mail servers; `route` is None if it was never used."""

    name: str
    host: str
    route: Route | None
    paused_owners: int

    @property
    def is_slowed(self) -> bool:
        return self.route is not None and self.route.pace is not None


def list_servers(now: datetime) -> list[Server]:
    """Return the installation's mail servers, the preferred one first."""
    names = routes.list_configured()
    found = {route.name: route for route in db.session.scalars(select(Route).where(Route.name.in_(names)))}
    pauses = (
        select(OwnerPause.route, func.count())
        .where(OwnerPause.route.in_(names), OwnerPause.until > now)
        .group_by(OwnerPause.route)
    )
    paused = dict(db.session.execute(pauses).tuples().all())
    return [
        Server(name, str(routes.settings_of(name).server), found.get(name), paused.get(name, 0))
        for name in names
    ]


def count_failing_user_servers() -> int:
    """Return the number of users' mail servers that do not accept letters now."""
    states = queries.count_server_states()
    return sum(count for state, count in states.items() if state is not BreakerState.CLOSED)


@dataclass(frozen=True, slots=True)
class ReturnedMail:
    """What is to be decided about returned mail, and whether a mailbox is read."""

    has_mailbox: bool
    unmatched: int  # not recognized, and of no user
    undecided: int  # users have to decide


def read_returned_mail() -> ReturnedMail:
    """Return the number of unclear returned letters; uses a partial index."""
    is_unclear: ColumnElement[bool] = literal_column("returned_letters.state = 'unclear'")
    statement = select(func.count(), func.count(ReturnedLetter.owner_id)).select_from(ReturnedLetter)
    total, owned = db.session.execute(statement.where(is_unclear)).one()
    return ReturnedMail(returned_mail_settings().mailbox is not None, total - owned, owned)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Everything that the overview shows about the service itself."""

    programs: Programs
    backlog: Backlog
    servers: list[Server] = field(default_factory=list)
    failing_user_servers: int = 0
    returned: ReturnedMail = field(default_factory=lambda: ReturnedMail(False, 0, 0))


def read_state(now: datetime) -> ServiceState:
    """Return the state of the service."""
    return ServiceState(
        read_programs(),
        measure_backlog(now),
        list_servers(now),
        count_failing_user_servers(),
        read_returned_mail(),
    )
