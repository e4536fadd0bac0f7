"""Column types and state machinery that all models share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from skymailing.errors import IllegalTransition

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")
JsonObject = JSON().with_variant(JSONB(), "postgresql")


S = TypeVar("S", bound=StrEnum)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment; refuses naive ones and comes back in UTC on every database."""

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
    """Return a text column type that stores the enum's values and checks them by a named constraint."""
    return Enum(
        enum,
        native_enum=False,
        length=16,
        create_constraint=True,
        name=name,
        values_callable=lambda members: [member.value for member in members],
    )


class Transitions(Generic[S]):
    """The arrows of one state machine: which state may follow which."""

    def __init__(self, thing: str, arrows: dict[S, set[S]]) -> None:
        self.thing = thing
        self.arrows = arrows

    def allows(self, old: S, new: S) -> bool:
        """Whether `new` may follow `old`."""
        return new in self.arrows[old]

    def check(self, old: S, new: S) -> None:
        """Raise IllegalTransition unless `new` may follow `old`."""
        if not self.allows(old, new):
            raise IllegalTransition(self.thing, old, new)

    def sources(self, new: S) -> list[S]:
        """Return the states from which `new` may be reached, for the WHERE of a bulk update."""
        return [old for old, targets in self.arrows.items() if new in targets]

    def move(self, item: Any, new: S) -> None:
        """Set `item.state`; raises IllegalTransition."""
        self.check(item.state, new)
        item.state = new
