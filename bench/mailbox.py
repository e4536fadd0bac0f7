"""Benchmark reading the mailbox for returned mail: memory must not grow with the number of letters."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from bench.returned import send_and_return
from bench.rows import Row, Sizes
from bench.service import MeasurementFailed
from bench.testbed import SQLITE, Testbed
from skymailing.returns.tasks import Reading, read_mailbox
from skymailing.settings.returned_mail import MailboxAddress, returned_mail_settings
from tests.support.mailboxes import MailboxServer

LETTERS_COUNT = 100_000
EARLY_LETTERS = 10_000  # letters before the first measurement of memory
MAX_GROWTH = 0.1


def mailbox(testbed: Testbed, _sizes: Sizes) -> Iterator[Row]:
    """Read a mailbox of 100,000 letters over IMAP, most of them about the same sent letters."""
    with testbed.service(SQLITE) as service, service.app.app_context():
        letters = send_and_return(testbed, service)
        with run_server(letters) as url:
            address = MailboxAddress.parse(url)
            service.app.config["RETURNED_MAIL"] = replace(returned_mail_settings(), mailbox=address)
            start = time.perf_counter()
            reading, sizes = read(EARLY_LETTERS)
            seconds = time.perf_counter() - start
    if (reading.understood, reading.unclear, reading.fault) != (LETTERS_COUNT, 0, ""):
        raise MeasurementFailed(f"{reading}")
    growth = sizes[-1] / sizes[0] - 1
    yield Row(
        f"a mailbox of {LETTERS_COUNT:,} letters over IMAP, {SQLITE}",
        f"{sizes[0]:.0f} MB after {EARLY_LETTERS:,} letters, {sizes[-1]:.0f} MB after all, "
        f"{LETTERS_COUNT / seconds:,.0f} per second",
        "grows by at most 10%",
        "",
        growth <= MAX_GROWTH,
        {"early": sizes[0], "end": sizes[-1], "letters_per_second": LETTERS_COUNT / seconds},
    )


def read(early: int) -> tuple[Reading, list[float]]:
    """Read the mailbox; also return the memory in MB after `early` letters and at the end."""
    sizes: list[float] = []
    pages = 0

    def measure(_seconds: float) -> bool:
        nonlocal pages
        pages += 1
        if pages * Reading().page == early:
            sizes.append(read_resident_memory())
        return False

    reading = read_mailbox(measure)
    return reading, [*sizes, read_resident_memory()]


def read_resident_memory() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


@contextmanager
def run_server(letters: list[bytes]) -> Iterator[str]:
    """Run a mailbox in a separate process; yield its URL."""
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(letters, folder, theirs))
        process.start()
        url, certificates = ours.recv()
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = certificates
        try:
            yield url
        finally:
            ours.send("stop")
            process.join()
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before


def serve(letters: list[bytes], folder: str, connection: Connection) -> None:
    """Serve a mailbox with LETTERS_COUNT different letters."""
    server = MailboxServer("imaps", Path(folder))
    for copy in range(LETTERS_COUNT // len(letters)):
        server.add(*[raw.replace(b"relay.example", b"relay%d.example" % copy) for raw in letters])
    with server.run():
        connection.send((server.url, server.certificates))
        connection.recv()


ROWS = {"mailbox": mailbox}
