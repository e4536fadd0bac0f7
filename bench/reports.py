"""Benchmark reports: a report on many attempts compared with a report on ten thousand."""

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from bench.pages import MEASURE_SECONDS, WARM_UP, load, sign_in, web_server
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow
from skymailing.delivery.ledger.reconciliation import recount
from skymailing.delivery.ledger.run_counts import run_keys
from skymailing.extensions import db
from skymailing.models import Mailing, MailingState, Message, MessageFormat, Run, RunState
from skymailing.reports.aggregates import Scope
from skymailing.reports.daily_rollup import roll_up_days
from skymailing.reports.periods import choose_period
from skymailing.reports.queries import make_report

FEW_ATTEMPTS = 10_000
SMALL_MAILING = 100  # letters
MEASURE_TURNS = 3
ROLLUP_SECONDS = 600.0  # time limit
MAILING_DAYS = 29  # of the 30 in a report
PAGE = "/reports/"

# SQL for PostgreSQL: a hundred letters per second, of which one in fifty is refused.
FILL = (
    """INSERT INTO deliveries (run_id, email, email_key, state, attempts, finished_at)
       SELECT runs.id, 'c' || n || '@d' || n % 50 || '.example', 'c' || n || '@d' || n % 50 || '.example',
              CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'sent' END, 1, started_at + n * interval '10 ms'
       FROM runs JOIN mailings ON mailings.id = mailing_id, generate_series(1, planned) n
       WHERE owner_id = :owner""",
    """INSERT INTO attempts (delivery_id, run_id, mailing_id, owner_id, number, at, outcome, code, answer,
           route)
       SELECT deliveries.id, run_id, mailing_id, owner_id, 1, deliveries.finished_at, deliveries.state,
              CASE deliveries.state WHEN 'sent' THEN 250 ELSE 550 END,
              CASE deliveries.state WHEN 'sent' THEN '2.0.0 Ok: queued' ELSE '5.1.1 no such user' END,
              'default'
       FROM deliveries JOIN runs ON runs.id = run_id JOIN mailings ON mailings.id = mailing_id
       WHERE owner_id = :owner""",
)
VACUUM = "VACUUM ANALYZE"  # as autovacuum does within minutes


def reports(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the report on the last 30 days: for a daily mailing, and for many small ones."""
    with testbed.service(POSTGRESQL) as service, web_server(service) as port:
        daily = [
            add_owner_with_history(service, attempts, MAILING_DAYS) for attempts in (FEW_ATTEMPTS, sizes.many)
        ]
        few, many = measure_page(service, port, dict.fromkeys(daily, PAGE))
        yield _make_row(
            f"report on a daily mailing, {sizes.many:,} attempts compared with {FEW_ATTEMPTS:,}", few, many
        )
        owners = [
            add_owner_with_history(service, attempts, attempts // SMALL_MAILING)
            for attempts in (FEW_ATTEMPTS, sizes.many)
        ]
        few, many = measure_page(service, port, dict.fromkeys(owners, PAGE))
        yield _make_row(
            f"report on {sizes.many // SMALL_MAILING:,} mailings of {SMALL_MAILING}, "
            f"{sizes.many:,} attempts compared with {FEW_ATTEMPTS:,}",
            few,
            many,
        )
        pages = {owner: f"/mailings/runs/{find_last_run(service, owner)}" for owner in owners}
        few, many = measure_page(service, port, pages)
        yield _make_row(
            f"page of a run, compared with earlier ones: {sizes.many // SMALL_MAILING:,} runs "
            f"vs. {FEW_ATTEMPTS // SMALL_MAILING:,}",
            few,
            many,
        )


def _make_row(what: str, few: float, many: float) -> Row:
    ratio = many / few
    measured = f"{ratio:.2f} x ({many:.1f} ms vs. {few:.1f} ms)"
    return Row(what, measured, "<= 1.5 x", "1.1 x", ratio <= 1.5, {"few_ms": few, "many_ms": many})


def measure_page(service: Service, port: int, pages: dict[int, str]) -> list[float]:
    """Return the median time in milliseconds of each owner's page.

    The owners are measured in alternating rounds, because the speed of a shared machine changes. The result
    is each owner's best round.
    """
    cookies = {owner: sign_in(service, owner) for owner in pages}
    times: dict[int, list[float]] = {owner: [] for owner in pages}
    for _turn in range(MEASURE_TURNS):
        for owner, page in pages.items():
            load(port, page, WARM_UP, 1, cookies[owner])
            times[owner].append(load(port, page, MEASURE_SECONDS, 1, cookies[owner])["median_ms"])
    return [min(medians) for medians in times.values()]


def find_last_run(service: Service, owner: int) -> int:
    """Return the ID of the owner's run that started last."""
    runs = select(Run.id).join(Mailing, Mailing.id == Run.mailing_id).where(Mailing.owner_id == owner)
    with Session(service.engine) as session:
        return session.scalars(runs.order_by(Run.started_at.desc()).limit(1)).one()


def add_owner_with_history(service: Service, attempts: int, runs: int) -> int:
    """Create an owner with past runs, and check the report about them; return the owner's ID."""
    owner = service.add_owner(0)
    add_history(service, owner, attempts // runs, runs)
    with service.app.app_context():
        zone = ZoneInfo(service.app.config["DEFAULT_TIMEZONE"])
        report = make_report(Scope(owner), choose_period(None, None, zone, utcnow()))
        db.session.rollback()
    reported = report.totals.counts["attempts"]
    if reported != attempts // runs * runs:
        raise MeasurementFailed(f"the report shows {reported} attempts instead of {attempts}")
    return owner


def add_history(service: Service, owner: int, letters: int, runs: int) -> None:
    """Create runs of `letters` each: all for one daily mailing, or each for its own mailing."""
    now = utcnow()
    step = timedelta(days=MAILING_DAYS) / runs
    with Session(service.engine) as session:
        message = Message(owner_id=owner, subject="Новости", format=MessageFormat.MARKDOWN, body="x")
        session.add(message)
        session.flush()
        period = {
            "starts_at": now - timedelta(days=MAILING_DAYS),
            "ends_at": now,
            "state": MailingState.FINISHED,
        }
        mailing = {"owner_id": owner, "message_id": message.id} | period
        names = [f"Новости {number}" for number in range(1 if runs == MAILING_DAYS else runs)]
        session.execute(insert(Mailing), [mailing | {"name": name} for name in names])
        ids = session.scalars(select(Mailing.id).where(Mailing.owner_id == owner)).all()
        content = {"subject": "Новости", "format": MessageFormat.MARKDOWN, "body": "x"}
        run = content | {"sender_name": "", "reply_to": "", "planned": letters, "state": RunState.FINISHED}
        start_times = [now - timedelta(hours=1) - number * step for number in range(runs)]
        session.execute(
            insert(Run),
            [
                run | {"mailing_id": ids[number % len(ids)], "scheduled_for": at, "started_at": at}
                for number, at in enumerate(start_times)
            ],
        )
        for statement in FILL:
            session.execute(text(statement), {"owner": owner})
        session.execute(text(VACUUM))
        run_ids = session.scalars(select(Run.id).where(Run.mailing_id.in_(ids))).all()
    with service.app.app_context(), db.engine.begin() as connection:
        for key in run_keys(connection, run_ids):
            recount(connection, key)
    with service.app.app_context():
        roll_up_days(utcnow(), ROLLUP_SECONDS)  # sweeps do the same for at most a second each
    with service.engine.connect() as connection:
        connection.execute(text(VACUUM))


ROWS = {"reports": reports}
