"""Log formats: JSON for programs in production, text for people in development.

Every message stays on one line. Line breaks and control characters are escaped, so that no one can forge a
log line with a header or an address.
"""

import json
import logging
import re
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from skymailing.logs import context
from skymailing.logs.redaction import Redactor, secrets_of

# Control characters, other line breaks, marks that change the text direction, unpaired surrogates.
UNSAFE_CHARACTERS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# These log two or three lines per job, and we log one ourselves.
VERBOSE_LOGGERS = ("rq.worker", "rq.job", "rq_scheduler.scheduler", "mail.log")
MAX_LENGTH = 20_000  # characters of a message or traceback; longer ones contain user content


class Formatter(logging.Formatter, ABC):
    """Formats records without secrets; subclasses choose the format of the line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        keep_addresses = record.levelno < logging.INFO
        message = self.redactor.clean(_message_of(record)[:MAX_LENGTH], keep_addresses=keep_addresses)
        trace = ""
        if record.exc_info:
            trace = self.formatException(record.exc_info)[-MAX_LENGTH:]
            trace = self.redactor.clean(trace, keep_addresses=keep_addresses)
        return self.render(record, message, trace)

    @abstractmethod
    def render(self, record: logging.LogRecord, message: str, trace: str) -> str:
        """Return the log line of a record; message and traceback contain no secrets."""


class JsonFormatter(Formatter):
    """One JSON object per line."""

    def render(self, record: logging.LogRecord, message: str, trace: str) -> str:
        entry: dict[str, Any] = {
            "time": _format_time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            "pid": record.process,
            **context.fields(),
            # Only IDs, numbers and our own names: free text belongs in the message, which is redacted.
            **getattr(record, "fields", context.NO_FIELDS),
        }
        if trace:
            entry["exception"] = trace
        return to_json(entry)


class TextFormatter(Formatter):
    """Time, level, logger and message; the lines of a traceback follow, each after a vertical bar."""

    def render(self, record: logging.LogRecord, message: str, trace: str) -> str:
        known = context.fields()
        ids = " ".join(
            f"{name}={known[name]}" for name in ("request_id", "job_id", "run_id") if name in known
        )
        line = f"{_format_time(record)} {record.levelname:7} {record.name}: {escape(message)}"
        if ids:
            line += f" [{ids}]"
        return "\n".join([line, *(f"  | {escape(part)}" for part in trace.splitlines())])


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # an error in a library's log call must not lose the line
        return f"{record.msg} {record.args}"


def _format_time(record: logging.LogRecord) -> str:
    written_at = datetime.fromtimestamp(record.created, UTC)
    return written_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json(entry: Mapping[str, Any]) -> str:
    """Return the entry as JSON on one line, with all kinds of line breaks escaped."""
    text = json.dumps(entry, ensure_ascii=False, default=str)
    return UNSAFE_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def escape(text: str) -> str:
    """Return the text on one line, with invisible characters escaped."""
    return UNSAFE_CHARACTERS.sub(
        lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text
    )


class SupervisorFormat:
    """Replace the format string of supervisor, which has its own logging."""

    LEVELS = {"CRIT": "critical", "ERRO": "error", "WARN": "warning", "INFO": "info"}  # noqa: RUF012

    def __mod__(self, values: Mapping[str, Any]) -> str:
        written_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {
            "time": written_at,
            "level": self.LEVELS.get(values["levelname"], "debug"),
            "logger": "supervisor",
            "message": Redactor().clean(str(values["message"])),
        }
        return to_json(entry) + "\n"


def install(config: Mapping[str, Any]) -> None:
    """Log to standard error in the configured format."""
    redactor = Redactor(secrets_of(config))
    formatter = JsonFormatter if config["LOG_FORMAT"] == "json" else TextFormatter
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config["LOG_LEVEL"])
    for name in VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log an uncaught exception instead of printing it, so that its secrets are redacted."""
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("skymailing").critical("uncaught exception", exc_info=(kind, error, trace))
