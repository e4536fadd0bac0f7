"""Check an MJML source before compiling it: the compiler reports no lines, and deep sources crash it.

The content of elements such as mj-text is HTML. It is hidden from the compiler, which would parse it as XML.
"""

import re
from dataclasses import dataclass, field

from skymailing.delivery.composition.code_check import check_html
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.liquid_tags import line_at

MAX_DEPTH = 50
MAX_ELEMENTS = 3_000
# The compiler writes styles for each pair of slides: 3,000 slides produced 150 MB.
SLIDE, MAX_SLIDES = "mj-carousel-image", 30
# Elements whose content is HTML, not MJML.
WITH_HTML = frozenset(
    "mj-text mj-button mj-table mj-raw mj-navbar-link mj-social-element "
    "mj-accordion-title mj-accordion-text".split()
)
WITH_TEXT = frozenset("mj-style mj-title mj-preview mj-html-attribute".split())
ELEMENTS = (
    WITH_HTML
    | WITH_TEXT
    | frozenset(
        "mjml mj-head mj-body mj-attributes mj-all mj-class mj-breakpoint mj-font mj-html-attributes "
        "mj-selector mj-section mj-wrapper mj-column mj-group mj-hero mj-image mj-divider mj-spacer "
        "mj-social mj-navbar mj-accordion mj-accordion-element mj-carousel mj-carousel-image".split()
    )
)
TAG = re.compile(
    r"<!--.*?(?P<comment>-->|\Z)"
    r"""|<(?P<end>/?)(?P<name>[a-zA-Z][\w-]*)(?P<attributes>(?:\s++[\w:-]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*+)\s*+(?P<closed>/?)>"""
    r"|<",
    re.DOTALL,
)


@dataclass
class Outline:
    """An MJML source in which words replace HTML, and the HTML by word."""

    mark: str
    pieces: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def hide(self, html: str) -> None:
        self.pieces.append(f"{self.mark}{len(self.hidden)}q")
        self.hidden.append(html)

    @property
    def source(self) -> str:
        return "".join(self.pieces)

    def restore(self, compiled: str) -> str:
        return re.sub(rf"{self.mark}(\d+)q", lambda word: self.hidden[int(word[1])], compiled)


def read_outline(source: str) -> Outline:
    """Return the source with its HTML hidden; raises InvalidSource with the line of the first error."""
    number = 0
    while f"mj{number}x" in source:
        number += 1
    return _Reader(source, Outline(f"mj{number}x")).read()


class _Reader:
    def __init__(self, source: str, outline: Outline) -> None:
        self.source = source
        self.outline = outline
        # The names of open elements, and the position of each.
        self.opened: list[tuple[str, int]] = []
        self.count = 0
        self.slides = 0
        self.position = 0

    def fail(self, code: str, place: int, **values: object) -> InvalidSource:
        error = InvalidSource(code, line=line_at(self.source, place))
        error.values = values
        return error

    def read(self) -> Outline:
        while tag := TAG.search(self.source, self.position):
            self.outline.pieces.append(self.source[self.position : tag.start()])
            self.position = tag.end()
            if tag["name"]:
                self.read_tag(tag)
            elif tag["comment"] is None:
                raise self.fail("mjml_bracket", tag.start())
            elif not tag["comment"]:
                raise self.fail("mjml_comment", tag.start())
            else:
                self.outline.pieces.append(tag[0])
        self.outline.pieces.append(self.source[self.position :])
        if self.opened:
            name, place = self.opened[-1]
            raise self.fail("mjml_unclosed", place, tag=name)
        if not self.count:
            raise InvalidSource("mjml_missing")
        return self.outline

    def read_tag(self, tag: re.Match[str]) -> None:
        name = tag["name"].lower()
        if name not in ELEMENTS:
            code = "mjml_include" if name == "mj-include" else "mjml_unknown"
            raise self.fail(code, tag.start(), tag=name[:30])
        if tag["end"]:
            if not self.opened or self.opened[-1][0] != name:
                raise self.fail("mjml_unopened", tag.start(), tag=name)
            self.opened.pop()
            self.write(name, tag[0])
            return
        if not self.opened and (name != "mjml" or self.count):
            raise self.fail("mjml_outside", tag.start(), tag=name)
        self.count += 1
        self.slides += name == SLIDE
        if self.slides > MAX_SLIDES:
            raise self.fail("mjml_slides", tag.start(), limit=MAX_SLIDES)
        self.write(name, tag[0])
        if tag["closed"]:
            return
        self.opened.append((name, tag.start()))
        if len(self.opened) > MAX_DEPTH or self.count > MAX_ELEMENTS:
            raise self.fail("mjml_too_deep", tag.start())
        if name in WITH_HTML or name in WITH_TEXT:
            self.read_content(name, tag.start())

    def write(self, name: str, text: str) -> None:
        """Keep a tag, except that of a font, which would be loaded from another server."""
        if name != "mj-font":
            self.outline.pieces.append(text)

    def read_content(self, name: str, start: int) -> None:
        end = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(self.source, self.position)
        if end is None:
            raise self.fail("mjml_unclosed", start, tag=name)
        content = self.source[self.position : end.start()]
        if name in WITH_HTML:
            try:
                check_html(content, "")
            except InvalidSource as error:
                raise self.fail(error.code, start, **error.values) from error
        if content:
            self.outline.hide(content)
        self.position = end.start()
