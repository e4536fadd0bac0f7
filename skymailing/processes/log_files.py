"""Log files that drop lines when the disk is full, instead of ending the supervisor.

By default, supervisor prints a traceback for each line that it cannot write. If standard error is on the same
disk, printing raises another error, which ends the supervisor with all its children. If rotating a file
fails, the supervisor closes the pipe of the child that wrote the line, and the child hangs.
"""

from contextlib import suppress
from typing import Any

from supervisor import loggers


class LogFile(loggers.RotatingFileHandler):
    """A rotated log file; after an error, it is opened again for the next line."""

    stream: Any

    def emit(self, record: Any) -> None:
        try:
            if self.stream.closed:
                self.stream = open(self.baseFilename, "ab")  # noqa: SIM115 - closed in `close`
            super().emit(record)
        except OSError:
            self.handleError()

    def handleError(self) -> None:  # noqa: N802 - supervisor's name
        """Drop the line, and any buffered parts of earlier ones."""
        with suppress(OSError):
            self.stream.close()

    def doRollover(self) -> None:  # noqa: N802 - supervisor's name
        if not self.stream.closed:
            super().doRollover()

    def close(self) -> None:
        self.handleError()
        self.closed = True


def install() -> None:
    """Make supervisor open its log files, and those of its children, as `LogFile`."""
    loggers.RotatingFileHandler = LogFile
