"""Benchmark letters with attachments against smtp-source, which sends the same number of bytes."""

import random
import statistics
from collections.abc import Iterator

from sqlalchemy.orm import Session

from bench import baselines
from bench.process_usage import read_peak_memory
from bench.rows import Row, Sizes
from bench.sending import TIMEOUT, WARM_UP, send
from bench.service import Service, check_all_sent
from bench.testbed import POSTGRESQL, Testbed
from skymailing.clock import utcnow
from skymailing.delivery.run_files import ENCODED_RATIO
from skymailing.extensions import db
from skymailing.messages import files, services
from skymailing.messages.files import FileChanges
from skymailing.models import Mailing

MEGABYTE = 1024 * 1024
FILE_BYTES = MEGABYTE
LETTER_BYTES = round(FILE_BYTES * ENCODED_RATIO)


def attachments(testbed: Testbed, sizes: Sizes) -> Iterator[Row]:
    """Send a file of 1 MB to every client; compare with smtp-source round by round."""
    ratios, ours, memory = [], [], 0.0
    for _ in range(sizes.rounds):
        with testbed.service(POSTGRESQL) as service:
            send(testbed, service, WARM_UP)
            ours.append(send_files(testbed, service, sizes.file_letters))
            memory = max(memory, read_peak_memory(service.worker_pids) or 0)
        baseline = baselines.measure_smtp_source(
            testbed.postfix, testbed.sink, sizes.file_letters, LETTER_BYTES
        )
        ratios.append(ours[-1] / baseline)
    ratio, rate = statistics.median(ratios), statistics.median(ours)
    yield Row(
        f"letters with a file of 1 MB per second, {sizes.file_letters:,} letters, PostgreSQL",
        f"{rate:,.0f}/s ({rate * LETTER_BYTES / MEGABYTE:,.0f} MB/s): {ratio:.2f} x smtp-source",
        ">= 0.5 x",
        "0.8 x",
        ratio >= 0.5,
        {"letters_per_second": ours, "to_source": ratios},
    )
    yield Row(
        "worker memory with a file of 1 MB",
        f"{memory:.0f} MB" if memory else "not available",
        "<= 200 MB",
        "120 MB",
        memory <= 200 if memory else None,
        {"megabytes": memory},
    )


def send_files(testbed: Testbed, service: Service, count: int) -> float:
    """Send a mailing with a file to `count` clients; return letters per second."""
    mailing_id = service.add_mailing(service.add_owner(count), utcnow())
    with service.app.app_context():
        attach(mailing_id)
    before = testbed.sink.letters
    start = service.start_mailing(mailing_id)
    run = service.wait_for_end(mailing_id, TIMEOUT)
    assert run.finished_at is not None
    check_all_sent(service.read_ledger(run), count, testbed.sink.letters - before)
    return count / (run.finished_at - start).total_seconds()


def attach(mailing_id: int) -> None:
    """Attach an incompressible file to the message of a mailing."""
    session: Session = db.session()
    mailing = session.get(Mailing, mailing_id)
    assert mailing is not None
    new = files.check_file("price.pdf", random.Random(1).randbytes(FILE_BYTES))
    services.change_files(mailing.message, FileChanges([new]))
    session.commit()


ROWS = {"attachments": attachments}
