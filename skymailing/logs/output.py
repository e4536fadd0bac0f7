"""How a line looks: JSON for programs in production, words for a person in development.

Whatever is in a message, it stays one entry: a line break or a control character is written out,
so nobody can write a line of their own through a header or an address.
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

# Control characters, other ends of lines, signs that turn the direction of writing, halves of pairs.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Each tells in two or three lines what our own line about the job tells in one.
CHATTY = ("rq.worker", "rq.job", "rq_scheduler.scheduler", "mail.log")
LONGEST = 20_000  # characters of a message or a traceback; what is longer is somebody's content


class Formatter(logging.Formatter, ABC):
    """Gives each record its text, without secrets; subclasses give the line its shape."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        keep = record.levelno < logging.INFO
        message = self.redactor.clean(_message_of(record)[:LONGEST], keep_addresses=keep)
        trace = ""
        if record.exc_info:
            trace = self.formatException(record.exc_info)[-LONGEST:]
            trace = self.redactor.clean(trace, keep_addresses=keep)
        return self.shape(record, message, trace)

    @abstractmethod
    def shape(self, record: logging.LogRecord, message: str, trace: str) -> str:
        """Return the line of a record whose words are clean."""


class JsonFormatter(Formatter):
    """One JSON object a line."""

    def shape(self, record: logging.LogRecord, message: str, trace: str) -> str:
        entry: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            "pid": record.process,
            **context.fields(),
            # Ids, numbers and names of our own: free text belongs into the message, which was looked through.
            **getattr(record, "fields", context.NOTHING),
        }
        if trace:
            entry["exception"] = trace
        return to_json(entry)


class TextFormatter(Formatter):
    """Time, level, who and what; a traceback follows, each of its lines set apart by a bar."""

    def shape(self, record: logging.LogRecord, message: str, trace: str) -> str:
        known = context.fields()
        ids = " ".join(
            f"{name}={known[name]}" for name in ("request_id", "job_id", "run_id") if name in known
        )
        line = f"{_moment(record)} {record.levelname:7} {record.name}: {escape(message)}"
        if ids:
            line += f" [{ids}]"
        return "\n".join([line, *(f"  | {escape(part)}" for part in trace.splitlines())])


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a library's own mistake must not cost us the line
        return f"{record.msg} {record.args}"


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json(entry: Mapping[str, Any]) -> str:
    """Return the entry as JSON on one line, whatever a reader takes for the end of a line."""
    text = json.dumps(entry, ensure_ascii=False, default=str)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def escape(text: str) -> str:
    """Return the text on one line, with what cannot be seen written out."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


class SupervisorFormat:
    """Stands in for a format string of the package supervisor, which has a logging of its own."""

    LEVELS = {"CRIT": "critical", "ERRO": "error", "WARN": "warning", "INFO": "info"}  # noqa: RUF012

    def __mod__(self, values: Mapping[str, Any]) -> str:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {
            "time": moment,
            "level": self.LEVELS.get(values["levelname"], "debug"),
            "logger": "supervisor",
            "message": Redactor().clean(str(values["message"])),
        }
        return to_json(entry) + "\n"


def install(config: Mapping[str, Any]) -> None:
    """Let this process write all its lines to standard error in the configured shape."""
    redactor = Redactor(secrets_of(config))
    shape = JsonFormatter if config["LOG_FORMAT"] == "json" else TextFormatter
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(shape(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config["LOG_LEVEL"])
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _write_down
    threading.excepthook = lambda args: _write_down(args.exc_type, args.exc_value, args.exc_traceback)


def _write_down(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log what ends a process or a thread instead of printing it, where nothing would be taken out of it."""
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("skymailing").critical("ended by an error", exc_info=(kind, error, trace))
