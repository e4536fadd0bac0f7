"""Determine what a reader of an HTML letter sees: which text and links are neither hidden nor in comments."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html import unescape

from skymailing.delivery.rendering.html_pieces import (
    DECLARATION,
    IMPLIED_END_TAGS,
    PIECE,
    VOID,
    read_attributes,
)

# Elements whose content no mail program shows.
INVISIBLE_ELEMENTS = frozenset("head noframes object select template video audio canvas svg map".split())
HIDING = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|opacity:0(?:\.0+)?%?|color:transparent"
    r"|(?:text-indent|left|top|margin-left|margin-top):-\d{3,}[^;]*)(?:!important)?(?=;|$)"
)
# Elements without height hide their content only if it may not overflow.
FLAT = re.compile(r"(?:^|;)(?:max-)?(?:height|width):0(?:\.0+)?(?:px|pt|em|%)?(?:!important)?(?=;|$)")
CLIPPING = re.compile(r"(?:^|;)overflow(?:-[xy])?:(?:hidden|clip)")
FONT_SIZE = re.compile(r"(?:^|;)font(?:-size)?:([^;]*)")
ZERO_SIZE = re.compile(r"(?:^|[\s/])0(?:\.0+)?(?:px|pt|em|rem|%)?(?:/|!|$)")
# White space and characters without a shape, such as the filler after a preview text.
INVISIBLE_CHARACTERS = re.compile(
    "[\\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0]+"
)
TINY_SIZE = re.compile(r"[01](?:\.0+)?(?:px)?")


@dataclass(slots=True)
class OpenElement:
    """An open element, and whether it hides its content or sets its text to size zero."""

    name: str
    is_hiding: bool
    is_sizeless: bool


@dataclass(frozen=True, slots=True)
class Masks:
    """The words that replace Liquid in a template: what they print and hide depends on the client."""

    statement: re.Pattern[str]
    any: re.Pattern[str]


@dataclass(slots=True)
class Reader:
    """The open elements of a letter, and which of them hide their content."""

    masks: Masks | None = None
    elements: list[OpenElement] = field(default_factory=list)
    hidden: int = 0  # open elements that hide their content
    hidden_rows: int = 0  # those that are rows of a table
    names: Counter[str] = field(default_factory=Counter)  # how many elements with each name are open

    def start(self, name: str, attributes: dict[str, str], written: str) -> None:
        if name in IMPLIED_END_TAGS and self.elements and self.elements[-1].name == name:
            self._pop()
        if name in VOID:
            return
        is_hiding = name in INVISIBLE_ELEMENTS
        is_sizeless = self.elements[-1].is_sizeless if self.elements else False
        if attributes:
            style = read_style(attributes)
            is_hiding = is_hiding or is_hidden(attributes)
            if self.masks and not is_hiding:
                is_hiding = bool(self.masks.statement.search(written) or self.masks.any.search(style))
            for size in FONT_SIZE.findall(style):
                is_sizeless = ZERO_SIZE.search(size) is not None
        self.elements.append(OpenElement(name, is_hiding, is_sizeless))
        self.hidden += is_hiding
        self.hidden_rows += is_hiding and name == "tr"
        self.names[name] += 1

    def end(self, name: str) -> None:
        if self.names[name]:
            while self._pop() != name:
                pass

    def _pop(self) -> str:
        element = self.elements.pop()
        self.hidden -= element.is_hiding
        self.hidden_rows -= element.is_hiding and element.name == "tr"
        self.names[element.name] -= 1
        return element.name

    @property
    def shows_text(self) -> bool:
        return not self.hidden and not (self.elements and self.elements[-1].is_sizeless)

    @property
    def closing_tags(self) -> str:
        """The end tags that make what follows visible."""
        if self.shows_text:
            return ""
        first = next(i for i, element in enumerate(self.elements) if element.is_hiding or element.is_sizeless)
        return "".join(f"</{element.name}>" for element in reversed(self.elements[first:]))


def read_style(attributes: dict[str, str]) -> str:
    """Return an element's style in lowercase and without spaces."""
    style = attributes.get("style")
    return "".join(style.lower().split()) if style else ""


def is_hidden(attributes: dict[str, str]) -> bool:
    """Return whether the attributes of an element hide it."""
    if "hidden" in attributes:
        return True
    if not (style := read_style(attributes)):
        return False
    return HIDING.search(style) is not None or (
        FLAT.search(style) is not None and CLIPPING.search(style) is not None
    )


def has_shape(text: str, masks: Masks | None) -> bool:
    """Return whether a reader sees any of this text."""
    text = masks.any.sub("", text) if masks else text
    return INVISIBLE_CHARACTERS.sub("", unescape(text)) != ""


def is_visible_image(attributes: dict[str, str]) -> bool:
    if any(TINY_SIZE.fullmatch(attributes.get(side, "").strip()) for side in ("width", "height")):
        return False
    return not is_hidden(attributes) and bool(attributes.get("src") or attributes.get("alt"))


def shows(html: str, needle: re.Pattern[str], masks: Masks | None = None) -> bool:
    """Return whether a reader sees a link to `needle`, or `needle` as text.

    A link is seen if it contains text or an image. `html` may be a masked template.
    """
    reader = Reader(masks)
    end = 0
    link: int | None = None  # the number of open elements, including the link
    for piece in PIECE.finditer(html):
        text, end = html[end : piece.start()], piece.end()
        if reader.shows_text and is_seen_text(text, needle, masks, is_link=link is not None):
            return True
        if not piece["name"]:
            continue
        name = piece["name"].lower()
        if piece["end"]:
            reader.end(name)
        else:
            attributes = read_attributes(piece["attributes"])
            reader.start(name, attributes, piece["attributes"])
            if name == "img" and link is not None and not reader.hidden and is_visible_image(attributes):
                return True
            if name == "a" and needle.search(attributes.get("href", "")):
                link = len(reader.elements)
        if link is not None and len(reader.elements) < link:
            link = None
    return reader.shows_text and is_seen_text(html[end:], needle, masks, is_link=link is not None)


def is_seen_text(text: str, needle: re.Pattern[str], masks: Masks | None, *, is_link: bool) -> bool:
    if "<" in text:
        text = DECLARATION.sub("", text)
    return needle.search(text) is not None or (is_link and has_shape(text, masks))


def find_end(html: str) -> tuple[int, str]:
    """Return the end of the visible part of a letter, and the end tags that make text there visible."""
    reader = Reader()
    place: tuple[int, str] | None = None
    for piece in PIECE.finditer(html):
        if not piece["name"]:
            closing = f"</{piece['raw']}" if piece["raw"] else "-->"
            is_closed = piece[0].lower().endswith(closing.lower())
            if not is_closed and place is None:
                # An unclosed piece hides the rest of the letter.
                return piece.start(), reader.closing_tags
            continue
        name = piece["name"].lower()
        if not piece["end"]:
            reader.start(name, read_attributes(piece["attributes"]), piece["attributes"])
        elif name == "body" or (name == "html" and place is None):
            place = piece.start(), reader.closing_tags
        else:
            reader.end(name)
    return place or (len(html), reader.closing_tags)
