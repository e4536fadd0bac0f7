"""Parse the conditions of a segment from JSON, with clear errors for conditions that cannot be evaluated.

A node is {"all": [nodes]}, {"any": [nodes]}, {"not": node} or a leaf {"field": ..., "op": ..., "value": ...}.
docs/segments.md lists the fields and operators.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from skymailing.delivery.audience.fields import (
    ATTRIBUTE_PREFIX,
    OPERATORS,
    InvalidConditions,
    Kind,
    find_kind,
)
from skymailing.models import AttributeType

MAX_DEPTH = 3  # levels of groups
MAX_LEAVES = 50
MAX_VALUES = 1_000  # in all conditions of a segment
MAX_EXACT_NUMBER = 2**53  # a float cannot hold every whole number above this


@dataclass(frozen=True, slots=True)
class Leaf:
    """One condition; `value` has the type that the operator's reader returns."""

    field: str
    kind: Kind
    op: str
    value: Any

    @property
    def attribute(self) -> str | None:
        """The key of the attribute that the condition checks."""
        is_attribute = self.field.startswith(ATTRIBUTE_PREFIX)
        return self.field.removeprefix(ATTRIBUTE_PREFIX) if is_attribute else None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all, or at least one, must hold."""

    needs_all: bool
    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """A condition that must not hold."""

    node: "Node"


Node = Leaf | Group | Not


def read_conditions(data: Any, types: Mapping[str, AttributeType]) -> Node:
    """Return the tree of conditions in parsed JSON; raises InvalidConditions.

    `types` are those of the owner's attributes, on which operators and values depend. An error about a
    condition has its number, counted from 1 in reading order, in `values["number"]`.
    """
    return _Reader(types).read(data, 1)


def list_leaves(node: Node) -> Iterator[Leaf]:
    """Yield the conditions of a tree in reading order."""
    match node:
        case Leaf():
            yield node
        case Not():
            yield from list_leaves(node.node)
        case Group():
            for child in node.nodes:
                yield from list_leaves(child)


class _Reader:
    def __init__(self, types: Mapping[str, AttributeType]) -> None:
        self.types = types
        self.leaves = self.values = 0

    def read(self, data: Any, depth: int) -> Node:
        if not isinstance(data, dict):
            raise InvalidConditions("segment_unreadable")
        if data.keys() == {"field", "op"} or data.keys() == {"field", "op", "value"}:
            return self.read_leaf(data)
        if depth > MAX_DEPTH:
            raise InvalidConditions("segment_too_deep", limit=MAX_DEPTH)
        if data.keys() == {"not"}:
            return Not(self.read(data["not"], depth + 1))
        for name in ("all", "any"):
            if data.keys() == {name} and isinstance(data[name], list):
                if not data[name]:
                    raise InvalidConditions("segment_empty")
                return Group(name == "all", tuple(self.read(child, depth + 1) for child in data[name]))
        raise InvalidConditions("segment_unreadable")

    def read_leaf(self, data: dict[str, Any]) -> Leaf:
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            raise InvalidConditions("segment_too_many", limit=MAX_LEAVES)
        field, op = data["field"], data["op"]
        if not isinstance(field, str) or not isinstance(op, str):
            raise InvalidConditions("segment_unreadable")
        try:
            kind = find_kind(field, self.types)
            if op not in OPERATORS[kind]:
                raise InvalidConditions("segment_operator_unknown", field=field)
            value = OPERATORS[kind][op](data.get("value"))
            self.values += len(value) if isinstance(value, tuple) else 1
            if self.values > MAX_VALUES:
                raise InvalidConditions("segment_list_too_long", limit=MAX_VALUES)
            return Leaf(field, kind, op, value)
        except InvalidConditions as error:
            error.values.setdefault("number", self.leaves)
            raise


def write_conditions(node: Node) -> dict[str, Any]:
    """Return a tree as JSON that `read_conditions` can parse, without redundant parts."""
    match node:
        case Not():
            return {"not": write_conditions(node.node)}
        case Group():
            return {"all" if node.needs_all else "any": [write_conditions(child) for child in node.nodes]}
        case Leaf():
            leaf = {"field": node.field, "op": node.op}
            return leaf if node.value is None else {**leaf, "value": _write_value(node.value)}


def _write_value(value: Any) -> Any:
    match value:
        case ("last" | "days" as unit, int() as number):
            return {unit: number}
        case tuple():
            return [_write_value(item) for item in value]
        case date():
            return value.isoformat()
        case float() if value.is_integer() and abs(value) < MAX_EXACT_NUMBER:
            return int(value)
        case _:
            return value
