"""Benchmark returned mail: how many letters per second are parsed, and how many are processed."""

import time
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import func, select

from bench.rows import Row, Sizes
from bench.sending import send
from bench.service import MeasurementFailed, Service
from bench.testbed import POSTGRESQL, SQLITE, Testbed
from skymailing.clock import utcnow
from skymailing.delivery.rendering.message_ids import RunIdentity, message_id_key
from skymailing.extensions import db
from skymailing.models import Bounce, Delivery, Run
from skymailing.returns.arrivals import Arrival
from skymailing.returns.reader import read_return
from skymailing.returns.services import ingest_letters
from skymailing.returns.tasks import PAGE, ingest_batches
from tests.returns.letters import make_complaint, make_status, quote_headers

LETTERS = 2000
DOMAIN = "sky.example"


def returned(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Parse returned letters; process some one by one, as from a pipe, and others in batches."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service, service.app.app_context():
            letters = send_and_return(testbed, service)
            parsed = measure(letters, lambda batch: [read_return(raw) for raw in batch])
            singly = measure(letters[::4], ingest_singly)
            batched = measure([raw for number, raw in enumerate(letters) if number % 4], ingest_in_batches)
            check_counts()
        yield Row(
            f"returned letters parsed, processed one by one and processed in batches, {database}",
            f"{parsed:,.0f}, {singly:,.0f} and {batched:,.0f} per second",
            "500 parsed, 100 processed in batches per second",
            "1,000 parsed",
            parsed >= 500 and batched >= 100,
            {"parsed": parsed, "processed_singly": singly, "processed_in_batches": batched},
        )


def send_and_return(testbed: Testbed, service: Service) -> list[bytes]:
    """Send a mailing; return a report of a mail server about each of its letters.

    Of ten reports, six are hard bounces, three are soft bounces, and one is a complaint.
    """
    send(testbed, service, LETTERS)
    identity = RunIdentity(db.session.scalars(select(Run.uuid)).one(), message_id_key())
    rows = db.session.execute(select(Delivery.id, Delivery.email)).tuples().all()
    db.session.rollback()
    return [
        make_report(number, email, identity.make_message_id(delivery_id, DOMAIN))
        for number, (delivery_id, email) in enumerate(rows)
    ]


def make_report(number: int, email: str, message_id: str) -> bytes:
    quoted = quote_headers(message_id, to=email)
    if number % 10 == 0:
        return make_complaint("", quoted=quoted)
    diagnostic = "552 5.2.2 mailbox full" if number % 10 < 4 else "550 5.1.1 user unknown"
    return make_status(email, "5.0.0", diagnostic, quoted=quoted)


def ingest_singly(letters: Sequence[bytes]) -> None:
    """Process each letter in its own transaction."""
    for raw in letters:
        ingest_letters([Arrival.read(raw, "pipe")], utcnow())
        db.session.commit()


def ingest_in_batches(letters: Sequence[bytes]) -> None:
    """Process the letters in batches of the size that is fetched from a mailbox at a time."""
    for start in range(0, len(letters), PAGE):
        page = letters[start : start + PAGE]
        ingest_batches([Arrival.read(raw, "mailbox") for raw in page], utcnow())


def measure(letters: Sequence[bytes], function: Callable[[Sequence[bytes]], object]) -> float:
    """Return how many letters per second the function processes."""
    start = time.perf_counter()
    function(letters)
    return len(letters) / (time.perf_counter() - start)


def check_counts() -> None:
    """Raise MeasurementFailed unless each letter was stored as a bounce and counted in its run."""
    bounces = db.session.scalar(select(func.count()).select_from(Bounce)) or 0
    run = db.session.scalars(select(Run)).one()
    if not bounces == run.returned + run.complaints == LETTERS:
        raise MeasurementFailed(f"{bounces} bounces, {run.returned} returned, {run.complaints} complaints")
    db.session.rollback()


ROWS = {"returned": returned}
