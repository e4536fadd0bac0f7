"""A provider's POST request, and the events that are read from it.

The body can be anything, so values are read only with the `pick` functions below, which never fail.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from skymailing.returns.reports import (
    ADDRESS_LENGTH,
    DIAGNOSTIC_LENGTH,
    HOST_LENGTH,
    STATUS_LENGTH,
    Kind,
    Quoted,
    Report,
)

MAX_TEXT = 4000


class BadPost(Exception):
    """The body does not have the provider's format.

    The message gives the reason, without quoting the body.
    """


class ForgedPost(Exception):
    """The signature is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Post:
    """A post; `key` is the key of the provider's signature, empty if the operator set none."""

    body: bytes
    headers: Mapping[str, str]
    now: datetime
    key: str = ""

    def read_json(self) -> Any:
        """Return the body's value; raises BadPost."""
        return parse_json(self.body)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its report, and its original text, which is stored.

    `id` is the provider's ID, which stays the same when the event is posted again. If it is empty, the text
    identifies the event.
    """

    report: Report
    raw: bytes
    id: str

    def get_digest(self, provider: str) -> str:
        """Return a digest that identifies the event in all returned mail."""
        identity = self.id.encode() or self.raw
        return hashlib.sha256(provider.encode() + b"\n" + identity).hexdigest()


# Returns only the events about returned mail; raises BadPost and ForgedPost.
Reader = Callable[[Post], list[Event]]


def make_event(values: Any, report: Report, id: str = "") -> Event:
    """Return an event from the provider's values; raises BadPost."""
    try:
        return Event(report, json.dumps(values, sort_keys=True).encode(), id)
    except RecursionError as error:
        raise BadPost("nested too deeply") from error


def make_report(
    kind: Kind,
    recipient: str,
    *,
    status: str = "",
    diagnostic: str = "",
    remote_mta: str = "",
    quoted: Quoted | None = None,
) -> Report:
    """Return a report with its values cut to the length that is stored."""
    return Report(
        kind,
        recipient.strip()[:ADDRESS_LENGTH],
        "failed" if kind is Kind.BOUNCE else "",
        status[:STATUS_LENGTH],
        " ".join(diagnostic.split())[:DIAGNOSTIC_LENGTH],
        remote_mta[:HOST_LENGTH],
        quoted or Quoted(),
    )


def parse_json(body: bytes | str) -> Any:
    """Return the value of a JSON text; raises BadPost, including when it is nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPost("not JSON") from error


def pick(values: Any, *path: str) -> Any:
    """Return the value at a path of keys; None if there is none."""
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def pick_text(values: Any, *path: str) -> str:
    """Return the text or number at a path of keys in a form that every database can store; else empty."""
    value = pick(values, *path)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)[:MAX_TEXT].encode("utf-8", "replace").decode().replace("\0", "")


def pick_list(values: Any, *path: str) -> list[Any]:
    """Return the list at a path of keys; empty if there is none."""
    value = pick(values, *path)
    return value if isinstance(value, list) else []
