"""What every line of a request or a job carries: its id, and which run it is about."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

Value = str | int | float
NOTHING: Mapping[str, Value] = MappingProxyType({})

_fields: ContextVar[Mapping[str, Value]] = ContextVar("log_fields", default=NOTHING)


def fields() -> Mapping[str, Value]:
    """Return what the present request or job is known by."""
    return _fields.get()


def bind(**values: Value) -> None:
    """Add to what the lines of the present request or job carry."""
    _fields.set({**_fields.get(), **values})


def begin(**values: Value) -> None:
    """Forget what came before in this thread, and carry these from now on."""
    _fields.set(values)


@contextmanager
def carrying(**values: Value) -> Iterator[None]:
    """Carry these for a while."""
    before = _fields.get()
    _fields.set({**before, **values})
    try:
        yield
    finally:
        _fields.set(before)
