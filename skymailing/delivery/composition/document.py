"""Parse the document of a message that is made of blocks.

A document is {"version": 1, "settings": {...}, "blocks": [...]}. docs/editor.md describes it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.block_types import BLOCK_TYPES, CONTENT, LAYOUT_TYPES, read_style
from skymailing.delivery.composition.checks import (
    Field,
    color,
    flag,
    join,
    one_of,
    read_object,
    shorten,
    whole,
)
from skymailing.delivery.composition.conditions import Condition, read_condition
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.fonts import FONTS

VERSION = 1
MAX_SIZE = 256 * 1024  # bytes of JSON
MAX_BLOCKS = 200
BLOCK_FIELDS = ("id", "type", "style", "visibility")
COLUMNS = "columns"

SETTINGS = {
    **{name: Field(color) for name in ("background", "card", "text", "link", "button")},
    "font": Field(one_of(*FONTS)),
    "text_size": Field(whole(13, 22), 16),
    "width": Field(whole(480, 700), 600),
    "radius": Field(whole(0, 40), 0),
}
COLUMN_FIELDS = {"width": Field(whole(10, 90), 0)}
COLUMNS_FIELDS = {
    "stacks": Field(flag, True),
    "gap": Field(whole(0, 60), 16),
    "vertical": Field(one_of("top", "middle"), "top"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of blocks; `width` is its share of the width, in percent."""

    width: int
    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block with all fields of its type."""

    id: str
    type: str
    fields: Mapping[str, Any]
    style: Mapping[str, Any]
    # "all", "phone" or "desktop"
    shown_on: str = "all"
    when: Condition | None = None
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole letter."""

    settings: Mapping[str, Any]
    blocks: tuple[Block, ...]

    def walk(self) -> Iterator[Block]:
        """Yield all blocks in reading order."""
        for block in self.blocks:
            yield block
            for column in block.columns:
                yield from column.blocks


def parse_json(source: str) -> Any:
    """Return the value that a JSON text contains; raises InvalidSource."""
    if len(source) > MAX_SIZE or len(source.encode("utf-8", "replace")) > MAX_SIZE:
        raise InvalidSource("design_too_large", limit=MAX_SIZE // 1024)
    try:
        return json.loads(source, object_pairs_hook=_read_pairs, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidSource("design_unreadable") from error


def _read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name is repeated")
    return values


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def read_document(data: Any, *, is_layout: bool = False) -> Document:
    """Return the document in parsed JSON, with all defaults; raises InvalidSource.

    A layout has one block where the content of messages is inserted.
    """
    if not isinstance(data, dict):
        raise InvalidSource("design_not_object")
    for name in data:
        if name not in ("version", "settings", "blocks"):
            raise InvalidSource("design_unknown_field", join("", name), name=shorten(name))
    if data.get("version") != VERSION or isinstance(data["version"], bool):
        raise InvalidSource("design_version", "/version", version=VERSION)
    settings = read_object(data.get("settings", {}), "/settings", SETTINGS)
    blocks = _Reader(is_layout).read_blocks(data.get("blocks", []), "/blocks", is_nested=False)
    if is_layout and sum(block.type == CONTENT for block in blocks) != 1:
        is_missing = all(block.type != CONTENT for block in blocks)
        raise InvalidSource("layout_without_content" if is_missing else "layout_content_twice", "/blocks")
    return Document(settings, blocks)


def read_block(data: Any) -> Block:
    """Return a single block, such as a saved one; raises InvalidSource."""
    return _Reader().read(data, "", is_nested=False)


class _Reader:
    """Read blocks; their IDs are unique, and their number is limited."""

    def __init__(self, is_layout: bool = False) -> None:
        self.ids: set[str] = set()
        self.outer_types = {COLUMNS: COLUMNS_FIELDS} | (LAYOUT_TYPES if is_layout else {})

    def read_blocks(self, data: Any, pointer: str, *, is_nested: bool) -> tuple[Block, ...]:
        if not isinstance(data, list):
            raise InvalidSource("design_not_list", pointer)
        blocks = []
        for index, block in enumerate(data):
            if len(self.ids) >= MAX_BLOCKS:
                raise InvalidSource("design_too_many", pointer, limit=MAX_BLOCKS)
            blocks.append(self.read(block, f"{pointer}/{index}", is_nested=is_nested))
        return tuple(blocks)

    def read(self, data: Any, pointer: str, *, is_nested: bool) -> Block:
        if not isinstance(data, dict):
            raise InvalidSource("design_not_object", pointer)
        name = data.get("type")
        types = BLOCK_TYPES if is_nested else BLOCK_TYPES | self.outer_types
        fields = types.get(str(name))
        if not isinstance(name, str) or fields is None:
            code = "design_nested_columns" if name == COLUMNS else "design_unknown_block"
            raise InvalidSource(code, f"{pointer}/type", name=shorten(str(name)))
        extra = (*BLOCK_FIELDS, COLUMNS) if name == COLUMNS else BLOCK_FIELDS
        return Block(
            self.read_id(data.get("id"), f"{pointer}/id"),
            name,
            read_object(data, pointer, fields, *extra),
            read_style(data.get("style", {}), f"{pointer}/style", name, is_nested=is_nested),
            *self.read_visibility(data.get("visibility", {}), f"{pointer}/visibility"),
            self.read_columns(data.get(COLUMNS), f"{pointer}/columns") if name == COLUMNS else (),
        )

    def read_id(self, data: Any, pointer: str) -> str:
        if not isinstance(data, str) or not 1 <= len(data) <= 32 or not data.isascii() or not data.isalnum():
            raise InvalidSource("design_id", pointer)
        if data in self.ids:
            raise InvalidSource("design_same_id", pointer)
        self.ids.add(data)
        return data

    def read_visibility(self, data: Any, pointer: str) -> tuple[str, Condition | None]:
        fields = {"on": Field(one_of("all", "phone", "desktop"), "all"), "when": Field(read_condition, None)}
        values = read_object(data, pointer, fields)
        return values["on"], values["when"]

    def read_columns(self, data: Any, pointer: str) -> tuple[Column, ...]:
        if not isinstance(data, list) or not 2 <= len(data) <= 3:
            raise InvalidSource("design_columns", pointer)
        columns = []
        for index, column in enumerate(data):
            at = f"{pointer}/{index}"
            width = read_object(column, at, COLUMN_FIELDS, "blocks")["width"]
            blocks = self.read_blocks(column.get("blocks", []), f"{at}/blocks", is_nested=True)
            columns.append(Column(width, blocks))
        if all(column.width == 0 for column in columns):
            share = 100 // len(columns)
            return tuple(Column(share, column.blocks) for column in columns)
        if any(column.width == 0 for column in columns) or sum(c.width for c in columns) not in (99, 100):
            raise InvalidSource("design_column_widths", pointer)
        return tuple(columns)
