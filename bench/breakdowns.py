"""Benchmark a page with the results of a million letters by mailbox provider, by tag and by segment."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import text

from bench.rows import Row, Sizes
from bench.segments import CONDITIONS, add_owner_with_clients
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from bench.timing import find_shortest_time
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.audience.segments import compile_segment
from skymailing.extensions import db
from skymailing.mailings import breakdown_queries, breakdowns
from skymailing.models import Run

# Letters to a few thousand domains: one in 50 failed, one in 50 was returned, one in five was clicked, and
# one in 200 recipients unsubscribed.
RESULTS = (
    """UPDATE deliveries SET state = CASE WHEN id % 50 = 0 THEN 'failed' ELSE 'sent' END,
              email_key = 'c' || id || '@d' || id % 7000 || '.example'""",
    """INSERT INTO engagements (delivery_id, run_id, mailing_id, first_click_at, clicks, opened_on)
       SELECT id, run_id, 1, 1, 1, '2026-11-29' FROM deliveries WHERE id % 5 = 1""",
    """INSERT INTO bounces (delivery_id, owner_id, run_id, email_key, kind, proof, status, diagnostic,
              received_at)
       SELECT id, :owner, run_id, email_key, 'hard', 'signed', '', '', CURRENT_TIMESTAMP
       FROM deliveries WHERE id % 50 = 2""",
    """INSERT INTO opt_outs (owner_id, email_key, run_id, at, before)
       SELECT owner_id, email_key, :run, CURRENT_TIMESTAMP, '{}' FROM clients WHERE id % 200 = 3""",
    "UPDATE runs SET returned = 1, clicked = 1, unsubscribed = 1, track_opens = 'day'",
)


def breakdown(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Measure the page's statements, which have a time limit of some seconds."""
    limit = breakdowns.SECONDS
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            run_id = add_run(service, database)
            with service.app.app_context():
                run = db.session.get_one(Run, run_id)
                planned, (domains, tags, segment) = run.planned, measure(run)
                db.session.rollback()
        is_required = database == POSTGRESQL
        yield Row(
            f"results of a run with {planned:,} letters by domain and tag (by segment), {database}",
            f"{domains + tags:.1f} s ({segment:.1f} s)",
            f"<= {limit:.0f} s" if is_required else "",
            "",
            domains + tags <= limit if is_required else None,
            {"domains": domains, "tags": tags, "segment": segment},
        )


def add_run(service: Service, database: str) -> int:
    """Create a run with letters to a million clients and their results; return its ID."""
    owner_id = add_owner_with_clients(service, database)
    service.pause_workers()
    mailing_id = service.add_mailing(owner_id, utcnow())
    with service.app.app_context():
        plan.start_due_run(mailing_id, utcnow())
    run = service.find_run(mailing_id)
    if run is None or not run.planned:
        raise MeasurementFailed("nothing was planned")
    values = {"owner": owner_id, "run": run.id}
    with service.engine.begin() as connection:
        for statement in RESULTS:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
    with service.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if database == POSTGRESQL else "ANALYZE"))
    return run.id


def measure(run: Run) -> list[float]:
    """Return the time in seconds to count by domain, by tag and by segment, each the best of three."""
    owner, letters = run.mailing.owner, breakdown_queries.select_letters(run)
    conditions = [compile_segment(CONDITIONS, owner, utcnow())]
    counts: tuple[Callable[[], Any], ...] = (
        lambda: breakdown_queries.count_by_domain(letters),
        lambda: breakdown_queries.count_by_tag(letters, owner.id),
        lambda: breakdown_queries.count_by_condition(letters, owner.id, conditions),
    )
    if not all(count() for count in counts):
        raise MeasurementFailed("nothing was counted")
    return [find_shortest_time(count) for count in counts]


ROWS = {"breakdown": breakdown}
