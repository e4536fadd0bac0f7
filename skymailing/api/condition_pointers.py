"""Locate a condition of a segment in the JSON that a program sent."""

from collections.abc import Iterator
from typing import Any


def find_pointer(conditions: Any, number: object) -> str:
    """Return the JSON pointer to a condition, numbered from 1 in reading order; empty if there is none."""
    if not isinstance(number, int):
        return ""
    leaves = enumerate(_list_leaves(conditions), 1)
    return next((path for position, path in leaves if position == number), "")


def _list_leaves(node: Any, path: str = "") -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if "field" in node:
        yield path
    elif "not" in node:
        yield from _list_leaves(node["not"], f"{path}/not")
    else:
        for name in ("all", "any"):
            for position, child in enumerate(node.get(name, ())):
                yield from _list_leaves(child, f"{path}/{name}/{position}")
