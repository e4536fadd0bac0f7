"""Keep the fields for every log line of a request or job, such as the IDs of the job and its run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

Value = str | int | float
NO_FIELDS: Mapping[str, Value] = MappingProxyType({})

_fields: ContextVar[Mapping[str, Value]] = ContextVar("log_fields", default=NO_FIELDS)


def fields() -> Mapping[str, Value]:
    """Return the fields of the current request or job."""
    return _fields.get()


def bind(**values: Value) -> None:
    """Add fields to the log lines of the current request or job."""
    _fields.set({**_fields.get(), **values})


def reset(**values: Value) -> None:
    """Replace all fields with these, at the start or end of a request or job."""
    _fields.set(values)


@contextmanager
def bound(**values: Value) -> Iterator[None]:
    """Add fields within a `with` block."""
    before = _fields.get()
    _fields.set({**before, **values})
    try:
        yield
    finally:
        _fields.set(before)
