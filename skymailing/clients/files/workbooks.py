"""Convert a workbook to CSV in a child process with limits on memory and time."""

import contextlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO, BinaryIO

from skymailing.clients.files import workbook_program
from skymailing.errors import UserError
from skymailing.web.host_turns import take_host_turn

TIMEOUT = 90  # seconds
WAIT = 10  # seconds to wait for other workbooks: only one is read at a time, because each may need 1 GB
MEMBER_SIZE = 200 << 20  # bytes per unpacked file
RATIO = 100  # unpacked to packed size, for files of more than RATIO_SIZE bytes
RATIO_SIZE = 10 << 20
REASONS = {
    workbook_program.PROTECTED: "import_workbook_protected",
    workbook_program.EMPTY: "import_empty",
    workbook_program.UNREADABLE: "import_workbook_unreadable",
}


class UnusableWorkbook(UserError):
    """The workbook or archive cannot be read, or would use too many resources."""


def check_archive(archive: zipfile.ZipFile) -> None:
    """Raise UnusableWorkbook for an archive whose files are too large when unpacked."""
    for member in archive.infolist():
        is_bomb = member.file_size > RATIO_SIZE and member.file_size > RATIO * max(1, member.compress_size)
        if member.file_size > MEMBER_SIZE or is_bomb:
            raise UnusableWorkbook("import_workbook_too_large")


def convert_workbook(source: BinaryIO) -> tuple[IO[bytes], str]:
    """Return the first sheet with addresses as CSV in UTF-8, and its name; raises UnusableWorkbook.

    Only one workbook is read at a time, across all processes of the host.
    """
    source.seek(0)
    with tempfile.NamedTemporaryFile(suffix=".workbook") as file, contextlib.ExitStack() as on_error:
        output = on_error.enter_context(tempfile.TemporaryFile())
        while chunk := source.read(1 << 20):
            file.write(chunk)
        file.flush()
        with take_host_turn("reading-workbook", WAIT, UnusableWorkbook("import_workbooks_busy")):
            name = run_program(Path(file.name), output)
        on_error.pop_all()  # the caller reads and closes the output
    output.seek(0)
    return output, name


def run_program(path: Path, output: IO[bytes]) -> str:
    """Run the program and return the sheet's name; raises UnusableWorkbook."""
    command = [sys.executable, "-I", workbook_program.__file__, str(path)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, stdout=output, stderr=subprocess.PIPE, timeout=TIMEOUT, env={}, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnusableWorkbook("import_workbook_too_large") from error
    if done.returncode:
        # A negative code: the program exceeded a limit, or the reader aborted.
        raise UnusableWorkbook(REASONS.get(done.returncode, "import_workbook_too_large"))
    return done.stderr.decode(errors="replace")[:100]
