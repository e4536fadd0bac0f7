"""Benchmark returned mail: how many letters per second are read, and how many are processed."""

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
    """Read returned letters; process some alone, as from a pipe, and the rest in pages, as from a mailbox."""
    for database in (POSTGRESQL, SQLITE):
        with testbed.service(database) as service, service.app.app_context():
            letters = send_and_return(testbed, service)
            read = measure(letters, lambda batch: [read_return(raw) for raw in batch])
            alone = measure(letters[::4], ingest_alone)
            together = measure([raw for number, raw in enumerate(letters) if number % 4], ingest_in_pages)
            check_counts()
        yield Row(
            f"returned letters read, processed alone and processed together, {database}",
            f"{read:,.0f}, {alone:,.0f} and {together:,.0f} per second",
            "500 read, 100 processed together per second",
            "1,000 read",
            read >= 500 and together >= 100,
            {"read": read, "taken_in_alone": alone, "taken_in_together": together},
        )


def send_and_return(testbed: Testbed, service: Service) -> list[bytes]:
    """Send a mailing; return mail servers' reports about its letters.

    Of every ten, six are hard bounces, three are soft bounces, and one is a complaint.
    """
    send(testbed, service, LETTERS)
    identity = RunIdentity(db.session.scalars(select(Run.uuid)).one(), message_id_key())
    rows = db.session.execute(select(Delivery.id, Delivery.email)).tuples().all()
    db.session.rollback()
    return [
        make_letter(number, email, identity.make_message_id(delivery_id, DOMAIN))
        for number, (delivery_id, email) in enumerate(rows)
    ]


def make_letter(number: int, email: str, message_id: str) -> bytes:
    quoted = quote_headers(message_id, to=email)
    if number % 10 == 0:
        return make_complaint("", quoted=quoted)
    diagnostic = "552 5.2.2 mailbox full" if number % 10 < 4 else "550 5.1.1 user unknown"
    return make_status(email, "5.0.0", diagnostic, quoted=quoted)


def ingest_alone(letters: Sequence[bytes]) -> None:
    """Process each letter in its own transaction."""
    for raw in letters:
        ingest_letters([Arrival.read(raw, "pipe")], utcnow())
        db.session.commit()


def ingest_in_pages(letters: Sequence[bytes]) -> None:
    """Process the letters in pages, as they are read from a mailbox."""
    for start in range(0, len(letters), PAGE):
        page = letters[start : start + PAGE]
        ingest_batches([Arrival.read(raw, "mailbox") for raw in page], utcnow())


def measure(letters: Sequence[bytes], function: Callable[[Sequence[bytes]], object]) -> float:
    """Return the number of letters per second that the function processes."""
    start = time.perf_counter()
    function(letters)
    return len(letters) / (time.perf_counter() - start)


def check_counts() -> None:
    """Raise MeasurementFailed unless each letter is a certain bounce and is counted in its run."""
    bounces = db.session.scalar(select(func.count()).select_from(Bounce)) or 0
    run = db.session.scalars(select(Run)).one()
    if not bounces == run.returned + run.complaints == LETTERS:
        raise MeasurementFailed(f"{bounces} bounces, {run.returned} returned, {run.complaints} complaints")
    db.session.rollback()


ROWS = {"returned": returned}
