"""Benchmark clicks: the redirect compared with a bare Flask route, and the processing of noted hits."""

import random
import statistics
import time
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench.pages import TURN_SECONDS, TURNS, WARM_UP, load, web_server
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.models import Delivery, Run, RunLink
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.devices import Device
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import HITS, NotedHit
from skymailing.tracking.machines import Visitor

LETTERS = 40_000
LINKS = 10
HIT_COUNT = 100_000
DEVICES = tuple(Device)


def clicks(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Measure the redirect, and the processing of 100,000 hits on both databases."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            run = plan_letters(service)
            if database == POSTGRESQL:
                yield measure_redirect(service, run, sizes)
            yield measure_fold(service, run, database)


def plan_letters(service: Service) -> Run:
    """Plan a run of letters with links; return the run."""
    service.pause_workers()
    mailing_id = service.add_mailing(service.add_owner(LETTERS), utcnow())
    with service.app.app_context():
        plan.start_due_run(mailing_id, utcnow())
    run = service.find_run(mailing_id)
    if run is None:
        raise MeasurementFailed("nothing was planned")
    with Session(service.engine) as session, session.begin():
        links = (
            RunLink(run_id=run.id, number=n, url=f"https://shop.example/{n}") for n in range(1, LINKS + 1)
        )
        session.add_all(links)
    return run


def measure_redirect(service: Service, run: Run, sizes: Sizes) -> Row:
    """Compare a click with a bare route; both servers are measured in short alternating turns."""
    with Session(service.engine) as session:
        delivery_id = session.scalar(select(func.min(Delivery.id)).where(Delivery.run_id == run.id)) or 0
    with service.app.app_context():
        path = f"/c/{ClickSigner(run.id, run.uuid).make_token(delivery_id)}/1"
    rates: dict[str, list[float]] = {"bare": [], "click": []}
    with web_server(service, "bench.bare_flask:app") as bare_port, web_server(service) as port:
        targets = {"bare": (bare_port, "/"), "click": (port, path)}
        for target in targets.values():
            load(*target, WARM_UP)
        for _ in range(TURNS * sizes.rounds):
            for name, target in targets.items():
                rates[name].append(load(*target, TURN_SECONDS)["per_second"])
    ratio = statistics.median(ours / bare for ours, bare in zip(rates["click"], rates["bare"], strict=True))
    click_rate, bare_rate = (statistics.median(rates[name]) for name in ("click", "bare"))
    with service.app.app_context():
        shared_cache().run(lambda redis: redis.delete(HITS))
    return Row(
        "a click, compared with a bare Flask route",
        f"{ratio:.2f} x ({click_rate:,.0f}/s vs. {bare_rate:,.0f}/s)",
        ">= 0.6 x",
        "0.8 x",
        ratio >= 0.6,
        {"rates": rates, "ratio": ratio},
    )


def measure_fold(service: Service, run: Run, database: str) -> Row:
    """Note hits on random letters, and measure how fast they are added to the counts."""
    with Session(service.engine) as session:
        letters = session.scalars(select(Delivery.id).where(Delivery.run_id == run.id)).all()
    generator = random.Random(7)
    start = to_milliseconds(utcnow())
    hits = [
        NotedHit(
            *(run.id, generator.choice(letters), generator.randint(1, LINKS), start + n * 10),
            *(Visitor.PERSON, DEVICES[n % len(DEVICES)]),
        )
        for n in range(HIT_COUNT)
    ]
    with service.app.app_context():
        shared_cache().run(lambda redis: redis.rpush(HITS, *(hit.encode() for hit in hits)))
        started = time.perf_counter()
        fold_hits(utcnow())
        seconds = time.perf_counter() - started
    with Session(service.engine) as session:
        counted = session.execute(
            select(func.sum(RunLink.clicks), func.sum(RunLink.machine_clicks)).where(RunLink.run_id == run.id)
        ).one()
    if sum(map(int, counted)) != HIT_COUNT:
        raise MeasurementFailed(f"{counted} of {HIT_COUNT} hits were counted")
    return Row(
        f"{HIT_COUNT:,} clicks added to the counts, {database}",
        f"{seconds:.1f} s",
        "<= 5 s",
        "3 s",
        seconds <= 5,
        {"seconds": seconds},
    )


ROWS = {"clicks": clicks}
