"""Find what may make a letter hard to read.

The findings are faint or small text, pictures without descriptions, and links without an address. Only
explicit values are checked; unknown colours, such as named ones, are ignored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from skymailing.delivery.composition.document import Document
from skymailing.delivery.composition.page import list_rows
from skymailing.delivery.composition.palette import READABLE, OwnerBrand, Palette
from skymailing.delivery.rendering.html_pieces import IMPLIED_END_TAGS, PIECE, VOID, read_attributes
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.web.colors import measure_contrast

SMALLEST = 13  # pixels
MAX_FINDINGS = 20
CLIP_LIMIT = 102 * 1024  # bytes of HTML that Gmail shows; it cuts off the rest
COLOR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
DECLARATION = re.compile(
    r"(?:^|;)\s{0,99}(color|background|background-color|font|font-size|display)\s{0,9}:([^;]*)"
)
SIZE = re.compile(r"(?:^|\s)(\d{1,3}(?:\.\d{1,4})?)px")
INVISIBLE = re.compile(r"(?:&(?:nbsp|zwnj|shy|#\d{1,6});|[\s\u00a0\u200b-\u200d\u00ad])+")
NOWHERE = ("", "#")
# The blocks of layouts that messages need not repeat.
SHARED = ("logo", "footer", "social")


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem for readers; `pointer` is the JSON pointer of its block, if any."""

    code: str
    pointer: str = ""
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """How text looks at one point in a letter; unknown colours are None."""

    color: str | None = "#000000"
    background: str | None = "#ffffff"
    size: float = 16
    is_hidden: bool = False

    def inside(self, attributes: dict[str, str]) -> "Look":
        """Return the look inside an element."""
        look = self
        if "bgcolor" in attributes:
            look = replace(look, background=read_color(attributes["bgcolor"]))
        for name, value in DECLARATION.findall(attributes.get("style", "").lower()):
            value = value.replace("!important", "").strip()
            if name == "color":
                look = replace(look, color=read_color(value))
            elif name.startswith("background"):
                look = replace(look, background=read_color(value))
            elif name == "display":
                look = replace(look, is_hidden=look.is_hidden or value == "none")
            elif size := SIZE.search(value):
                look = replace(look, size=float(size[1]))
        return look


def read_color(text: str) -> str | None:
    """Return a colour as "#rrggbb"; None if it is written in another way."""
    text = text.strip().lower()
    if not COLOR.fullmatch(text):
        return None
    return text if len(text) == 7 else "#" + "".join(2 * digit for digit in text[1:])


def check_document(document: Document, brand: OwnerBrand, language: str) -> list[Finding]:
    """Return the findings in the blocks of a letter."""
    palette = Palette.choose(document.settings, brand)
    start = Look(palette.text, palette.card, palette.text_size)
    findings: list[Finding] = []
    for pointer, block, background, html in list_rows(document, palette, brand, language):
        fields = block.fields
        if fields.get("src") and not fields.get("is_decorative") and not fields.get("alt", "").strip():
            findings.append(Finding("check_alt", f"{pointer}/alt"))
        button = fields["text"] if block.type == "button" else fields.get("button", "")
        if button.strip() and not fields.get("url"):
            findings.append(Finding("check_button", f"{pointer}/url"))
        look = replace(start, background=background or start.background)
        findings += [replace(found, pointer=pointer) for found in check_html(html, look, with_alt=False)]
    return findings[:MAX_FINDINGS]


def find_repeated(document: Document, layout: Document) -> list[Finding]:
    """Return the blocks of a message that readers would see twice, because its layout has the same ones."""
    shared = {block.type for block in layout.walk()} & set(SHARED)
    return [
        Finding(f"check_repeated_{block.type}", f"/blocks/{index}")
        for index, block in enumerate(document.blocks)
        if block.type in shared
    ]


def check_html(html: str, look: Look | None = None, *, with_alt: bool = True) -> list[Finding]:
    """Return the findings in HTML; each kind is reported once for each contrast or text size."""
    found = {
        (finding.code, *finding.values.values()): finding
        for finding in _walk(MaskedSource(html).text, look or Look(), with_alt=with_alt)
    }
    return list(found.values())[:MAX_FINDINGS]


def _walk(source: str, start: Look, *, with_alt: bool) -> Iterator[Finding]:
    opened: list[tuple[str, Look]] = [("", start)]
    end = 0
    for piece in PIECE.finditer(source):
        yield from _check_text(source[end : piece.start()], opened[-1][1])
        end = piece.end()
        name = (piece["name"] or "").lower()
        if not name:
            if piece["raw"]:  # the match does not include the bracket of the end tag
                end += source[end : end + 1] == ">"
            continue
        if piece["end"]:
            _close(opened, name)
            continue
        attributes = read_attributes(piece["attributes"])
        look = opened[-1][1].inside(attributes)
        if not look.is_hidden:
            yield from _check_element(name, attributes, with_alt=with_alt)
        if name not in VOID and not piece["attributes"].endswith("/"):
            if name in IMPLIED_END_TAGS and opened[-1][0] == name:
                opened.pop()
            opened.append((name, look))


def _close(opened: list[tuple[str, Look]], name: str) -> None:
    for place in range(len(opened) - 1, max(0, len(opened) - 100), -1):
        if opened[place][0] == name:
            del opened[place:]
            return


def _check_element(name: str, attributes: dict[str, str], *, with_alt: bool) -> Iterator[Finding]:
    if name == "a" and attributes.get("href", "x" if "name" in attributes else "").strip() in NOWHERE:
        yield Finding("check_link")
    if name == "img" and with_alt and "alt" not in attributes:
        yield Finding("check_alt")


def _check_text(text: str, look: Look) -> Iterator[Finding]:
    if look.is_hidden or not INVISIBLE.sub("", text):
        return
    if look.color and look.background:
        contrast = measure_contrast(look.color, look.background)
        if contrast < READABLE:
            # Rounded down, so that it never looks sufficient.
            shown = f"{int(contrast * 10) / 10:.1f}"
            yield Finding("check_contrast", values={"ratio": shown, "least": str(READABLE)})
    if look.size < SMALLEST:
        yield Finding("check_small", values={"size": f"{look.size:g}", "least": str(SMALLEST)})
