"""Column types and state machines shared by all models."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from skymailing.errors import IllegalTransition

# SQLite assigns IDs only in a column whose type is exactly INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")
JsonObject = JSON().with_variant(JSONB(), "postgresql")


S = TypeVar("S", bound=StrEnum)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime: rejects naive values and returns UTC on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}; use skymailing.clock.utcnow()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def enum_column(enum: type[StrEnum], name: str) -> Enum:
    """Return a text type that stores the enum's values, with a named check constraint."""
    return Enum(
        enum,
        native_enum=False,
        length=16,
        create_constraint=True,
        name=name,
        values_callable=lambda members: [member.value for member in members],
    )


class Transitions(Generic[S]):
    """A state machine: the allowed transitions between states."""

    def __init__(self, thing: str, targets: dict[S, set[S]]) -> None:
        self.thing = thing
        self.targets = targets

    def allows(self, old: S, new: S) -> bool:
        """Return whether `new` may follow `old`."""
        return new in self.targets[old]

    def check(self, old: S, new: S) -> None:
        """Raise IllegalTransition unless `new` may follow `old`."""
        if not self.allows(old, new):
            raise IllegalTransition(self.thing, old, new)

    def sources(self, new: S) -> list[S]:
        """Return the states that may precede `new`, for the WHERE clause of a bulk update."""
        return [old for old, allowed in self.targets.items() if new in allowed]

    def move(self, item: Any, new: S) -> None:
        """Set `item.state`; raises IllegalTransition if `new` may not follow it."""
        self.check(item.state, new)
        item.state = new
