"""Parse the text of a block: a Delta, the format of the editor's text field (Quill).

A Delta is {"ops": [...]}. Each operation inserts text, a placeholder or a line break. A line's attributes are
those of the line break at its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.checks import (
    Check,
    check_template,
    color,
    flag,
    join,
    one_of,
    shorten,
    text,
    url,
    whole,
)
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.liquid_tags import TemplateError, find_tags

MAX_OPS = 2_000
MAX_TEXT = 50_000  # characters in a block
MAX_INDENT = 5
SIZES = ("small", "large", "huge")

INLINE_ATTRIBUTES: dict[str, Check] = {
    "bold": flag,
    "italic": flag,
    "underline": flag,
    "strike": flag,
    "link": url,
    "color": color,
    "background": color,
    "size": one_of(*SIZES),
}
LINE_ATTRIBUTES: dict[str, Check] = {
    "header": whole(1, 3),
    "list": one_of("bullet", "ordered"),
    "indent": whole(1, MAX_INDENT),
    "align": one_of("left", "center", "right"),
}
EMBEDS = frozenset({"placeholder", "softbreak"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Text, a Liquid tag or a line break within a paragraph, with its formatting."""

    text: str
    attributes: Mapping[str, Any]
    is_tag: bool = False

    @property
    def is_break(self) -> bool:
        return self.text == "\n"


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph, a heading or an item of a list."""

    pieces: tuple[Piece, ...]
    attributes: Mapping[str, Any]


def parse_delta(data: Any, pointer: str) -> tuple[Line, ...]:
    """Return the lines of a Delta; raises InvalidSource."""
    if not isinstance(data, dict) or data.keys() != {"ops"} or not isinstance(data["ops"], list):
        raise InvalidSource("design_delta", pointer)
    if len(data["ops"]) > MAX_OPS:
        raise InvalidSource("design_too_many", f"{pointer}/ops", limit=MAX_OPS)
    parser = _Parser()
    for index, op in enumerate(data["ops"]):
        parser.add(op, f"{pointer}/ops/{index}")
    lines = parser.finish()
    if sum(len(piece.text) for line in lines for piece in line.pieces) > MAX_TEXT:
        raise InvalidSource("design_too_long", pointer, limit=MAX_TEXT)
    # Line breaks separate the pieces, so that a brace at the end of one piece does not join the next piece.
    check_template("\n".join(piece.text for line in lines for piece in line.pieces), pointer)
    return lines


class _Parser:
    """Collect the lines of a Delta."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.pieces: list[Piece] = []

    def add(self, op: Any, pointer: str) -> None:
        if not isinstance(op, dict) or not op.keys() <= {"insert", "attributes"} or "insert" not in op:
            raise InvalidSource("design_delta", pointer)
        inline, line = parse_attributes(op.get("attributes", {}), f"{pointer}/attributes")
        insert = op["insert"]
        if isinstance(insert, dict):
            self.pieces.append(parse_embed(insert, inline, f"{pointer}/insert"))
            return
        first, *others = text(MAX_TEXT, has_lines=True)(insert, f"{pointer}/insert").split("\n")
        self.add_text(first, inline, pointer)
        for part in others:
            self.end_line(line)
            self.add_text(part, inline, pointer)

    def add_text(self, part: str, attributes: Mapping[str, Any], pointer: str) -> None:
        if not part:
            return
        if self.pieces and not self.pieces[-1].is_tag and self.pieces[-1].attributes == attributes:
            part = self.pieces.pop().text + part if not self.pieces[-1].is_break else part
        try:
            list(find_tags(part))
        except TemplateError as error:
            raise InvalidSource("design_template", pointer, template=error) from error
        self.pieces.append(Piece(part, attributes))

    def end_line(self, attributes: Mapping[str, Any]) -> None:
        self.lines.append(Line(tuple(self.pieces), attributes))
        self.pieces = []

    def finish(self) -> tuple[Line, ...]:
        if self.pieces:
            self.end_line({})
        while self.lines and not self.lines[-1].pieces:
            self.lines.pop()  # a Delta ends with an empty line
        return tuple(self.lines)


def parse_attributes(data: Any, pointer: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of the text and those of its line, without those that are false or null."""
    if not isinstance(data, dict):
        raise InvalidSource("design_not_object", pointer)
    inline: dict[str, Any] = {}
    line: dict[str, Any] = {}
    for name, value in data.items():
        check = INLINE_ATTRIBUTES.get(name) or LINE_ATTRIBUTES.get(name)
        if check is None:
            raise InvalidSource("design_unknown_field", join(pointer, name), name=shorten(name))
        if value is None or value is False:
            continue
        (inline if name in INLINE_ATTRIBUTES else line)[name] = check(value, join(pointer, name))
    return inline, line


def parse_embed(data: dict[str, Any], attributes: Mapping[str, Any], pointer: str) -> Piece:
    """Return a placeholder or a line break."""
    if len(data) != 1 or not data.keys() <= EMBEDS:
        raise InvalidSource("design_embed", pointer)
    if "softbreak" in data:
        flag(data["softbreak"], f"{pointer}/softbreak")
        return Piece("\n", attributes)
    tag = text(1_000)(data["placeholder"], f"{pointer}/placeholder")
    try:
        tags = list(find_tags(tag))
    except TemplateError as error:
        raise InvalidSource("design_template", f"{pointer}/placeholder", template=error) from error
    if len(tags) != 1 or tags[0].text != tag:
        raise InvalidSource("design_embed", pointer)
    return Piece(tag, attributes, is_tag=True)
