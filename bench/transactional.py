"""Benchmark transactional letters: the first attempt during a large mailing, and requests per second."""

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench.pages import web_server
from bench.rows import Row, Sizes
from bench.sending import WARM_UP, cancel, count_sent
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.api.keys import digest_of
from skymailing.clock import utcnow
from skymailing.models import ApiKey, Attempt, DeliveryState, KeyKind, Mailing, Run, RunState

KEY = "sky_live_" + "0" * 27
MAILING = 200_000  # letters of another owner's mailing at that time
TIMED, PAUSE = 30, 0.4  # letters sent during the mailing, and seconds between them
BURST = 300  # requests over one connection, one letter each
DEADLINE = 60.0  # seconds within which all letters must be sent
LETTER = {"subject": "Заказ {{ order.id }}", "body": "Сумма: {{ order.total }}\n", "format": "markdown"}


def letters(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:  # noqa: ARG001 - all rows have one signature
    """Measure the delay of letters during a mailing of 200,000, then how fast requests are accepted."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service:
            service.environment["LIMIT_API_REQUESTS_PER_MINUTE"] = "0"
            owner_id = add_owner_with_key(service)
            with web_server(service) as port:
                yield measure_delays(service, owner_id, port, database)
                yield measure_requests(service, owner_id, port, database)
            check_letters(service, owner_id)


def add_owner_with_key(service: Service) -> int:
    """Add an owner with an API key that is not a test key."""
    owner_id = service.add_owner(1)
    with Session(service.engine) as session:
        session.add(
            ApiKey(
                owner_id=owner_id,
                name="Bench",
                kind=KeyKind.LIVE,
                prefix=KEY[:13],
                digest=digest_of(KEY),
                scopes=[],
                created_at=utcnow(),
            )
        )
        session.commit()
    return owner_id


def measure_delays(service: Service, owner_id: int, port: int, database: str) -> Row:
    """Send letters one after another while workers send a mailing of another owner."""
    large = service.add_mailing(service.add_owner(MAILING), utcnow())
    service.start_mailing(large)
    service.wait_until(lambda: count_sent(service, large) >= WARM_UP, "the large mailing to start", 120)
    post(port, 2)  # compiles the content and opens the sessions
    time.sleep(1)
    sent_at: dict[int, datetime] = {}
    for _ in range(TIMED):
        moment = utcnow()
        (letter_id,) = post(port, 1)
        sent_at[letter_id] = moment
        time.sleep(PAUSE)
    wait_for_letters(service, owner_id)
    run = service.find_run(large)
    if run is None or run.finished_at:
        raise MeasurementFailed("the large mailing ended before the letters")
    cancel(service, large)
    firsts = select(Attempt.delivery_id, func.min(Attempt.at)).where(Attempt.delivery_id.in_(sent_at))
    with Session(service.engine) as session:
        found = dict(session.execute(firsts.group_by(Attempt.delivery_id)).tuples().all())
    delays = [(found[letter_id] - moment).total_seconds() for letter_id, moment in sent_at.items()]
    median, largest = statistics.median(delays), max(delays)
    return Row(
        f"a transactional letter during a mailing of {MAILING:,}, {database}",
        f"first attempt after {median:.2f} s, at most {largest:.2f} s in {TIMED} letters",
        "<= 1 s",
        "",
        median <= 1,
        {"seconds": delays},
    )


def measure_requests(service: Service, owner_id: int, port: int, database: str) -> Row:
    """Send letters as fast as one connection allows, and wait until all have been sent."""
    started = time.perf_counter()
    post(port, BURST)
    accepted = time.perf_counter() - started
    wait_for_letters(service, owner_id)
    all_sent = time.perf_counter() - started
    return Row(
        f"transactional letters, one per request over one connection, {database}",
        f"{BURST / accepted:,.0f} accepted/s, {BURST / all_sent:,.0f} sent/s",
        "",
        "",
        True,
        {"accepted": [BURST / accepted], "sent": [BURST / all_sent]},
    )


def post(port: int, count: int) -> list[int]:
    """Send letters over one connection; return their IDs."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    ids = []
    for number in range(count):
        values = {"order": {"id": number, "total": "12,50"}}
        letter = LETTER | {"to": f"c{number}@mail.example", "values": values}
        connection.request("POST", "/api/v1/letters", json.dumps(letter).encode(), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 201:
            raise MeasurementFailed(f"a letter was refused: {body.decode()}")
        ids.append(json.loads(body)["id"])
    connection.close()
    return ids


def find_run(service: Service, owner_id: int) -> Run:
    with Session(service.engine) as session:
        runs = select(Run).join(Run.mailing).where(Mailing.owner_id == owner_id)
        return session.execute(runs).scalar_one()


def wait_for_letters(service: Service, owner_id: int) -> None:
    """Wait until all letters are sent."""

    def are_sent() -> bool:
        counts = service.read_ledger(find_run(service, owner_id))
        return counts.counts.get(DeliveryState.SENT, 0) == counts.planned

    service.wait_until(are_sent, "the transactional letters", DEADLINE)


def check_letters(service: Service, owner_id: int) -> None:
    """Check that each letter has one attempt, in a run that stays open for the day."""
    run = find_run(service, owner_id)
    ledger = service.read_ledger(run)
    expected = 2 + TIMED + BURST
    if (ledger.planned, ledger.attempts) != (expected, expected) or run.state is not RunState.TRANSACTIONAL:
        raise MeasurementFailed(f"the ledger of transactional letters does not balance: {ledger}")


ROWS = {"letters": letters}
