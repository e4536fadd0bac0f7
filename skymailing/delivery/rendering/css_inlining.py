"""Inline style sheets into style attributes, as mail clients require.

css-inline computes each element's style, but never rewrites the document: an HTML parser would move Liquid
tags and escape their content. So css-inline gets a skeleton that contains only the tags, and the resulting
styles are inserted into the tags of the source; all other bytes remain unchanged. The skeleton has limits:
the parser is recursive, and about ten thousand open tags would crash the process.
"""

import re
from dataclasses import dataclass, field
from html import escape, unescape

from css_inline import CSSInliner, InlineError

from skymailing.delivery.rendering.css_important import add_important
from skymailing.delivery.rendering.html_pieces import ATTRIBUTE, IMPLIED_END_TAGS, PIECE, VOID
from skymailing.delivery.rendering.tag_masking import MaskedSource

MAX_ELEMENTS = 5_000
MAX_DEPTH = 120
# Elements such as a <b> that is not closed in its paragraph: parsers repeat it in each following paragraph.
MAX_MISNESTED = 20
MAX_CSS = 100_000  # characters
MAX_BRACKETS = 12  # nested, in a style sheet
MAX_MATCHES = 500_000  # elements times selectors; a few tenths of a second

# Not in the skeleton: elements that load resources or change how the rest is parsed.
SKIPPED = frozenset("base link meta plaintext frameset frame select".split())
ATTRIBUTE_NAME = re.compile(r"[a-zA-Z][\w-]*")
# A tag as css-inline writes it; it reorders attributes.
ELEMENT_ATTRIBUTES = re.compile(r'<\w+((?: [^\s"=<>]+="[^"]*")+)>')
NUMBER = re.compile(r' data-lq="(\d+)"')
STYLE = re.compile(r' style="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Element:
    """A start tag in the source: the position of its attributes, and its style attribute, if any."""

    attributes_at: int
    style: re.Match[str] | None


@dataclass
class Outline:
    """The parts of a source that matter to style sheets."""

    skeleton: list[str] = field(default_factory=list)
    elements: list[Element | None] = field(default_factory=list)
    # The positions of style sheets without a media attribute.
    sheets: list[tuple[int, int]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    misnested: int = 0
    is_too_deep: bool = False

    def start(self, name: str) -> None:
        if name in IMPLIED_END_TAGS and self.open and self.open[-1] == name:
            self.open.pop()
        if name not in VOID:
            self.open.append(name)
        self.is_too_deep = self.is_too_deep or len(self.open) > MAX_DEPTH

    def end(self, name: str) -> None:
        if name in self.open:
            while (last := self.open.pop()) != name:
                self.misnested += last not in IMPLIED_END_TAGS


def inline_styles(html: str, extra_css: str = "") -> str:
    """Inline the style sheets of an HTML template, and `extra_css`, into its style attributes.

    The style sheets are kept, for the rules that an attribute cannot express. A source beyond the limits is
    returned unchanged: it still looks right in mail clients that support style sheets.
    """
    masked = MaskedSource(html)
    source = masked.text
    outline = read_outline(source, re.compile(masked.mark + r"s\d+q"))
    css = "\n".join([extra_css, *(source[start:end] for start, end in outline.sheets)])
    if not css.strip() or not is_bounded(outline, css):
        return html
    styles = compute_styles("".join(outline.skeleton), css)
    changes = [*list_style_changes(outline, styles), *list_sheet_changes(source, outline)]
    return masked.unmask(apply_changes(source, changes))


def read_outline(source: str, statement: re.Pattern[str]) -> Outline:
    outline = Outline()
    for piece in PIECE.finditer(source):
        if piece["raw"]:
            is_for_all = "media" not in piece["head"].lower()
            if piece["raw"].lower() == "style" and is_for_all:
                outline.sheets.append(piece.span("content"))
            continue
        if not piece["name"] or (name := piece["name"].lower()) in SKIPPED:
            continue
        if piece["end"]:
            outline.end(name)
            outline.skeleton.append(f"</{name}>")
        else:
            add_element(outline, name, piece, statement)
        if len(outline.elements) > MAX_ELEMENTS or outline.is_too_deep:
            break
    return outline


def add_element(outline: Outline, name: str, piece: re.Match[str], statement: re.Pattern[str]) -> None:
    start, end = piece.span("attributes")
    found = list(ATTRIBUTE.finditer(piece.string, start, end))
    # Attributes between {% if %} and {% endif %} depend on the recipient: do not style such an element.
    if any(statement.search(attribute["name"]) for attribute in found):
        found, element = [], None
    else:
        styles = [attribute for attribute in found if attribute["name"].lower() == "style"]
        element = Element(start, styles[0] if styles and styles[0]["value"] else None)
    written = "".join(write_attribute(attribute, statement) for attribute in found)
    outline.skeleton.append(f'<{name} data-lq="{len(outline.elements)}"{written}>')
    outline.elements.append(element)
    outline.start(name)


def write_attribute(attribute: re.Match[str], statement: re.Pattern[str]) -> str:
    name, value = attribute["name"].lower(), attribute["value"] or ""
    if name in ("style", "data-lq") or not ATTRIBUTE_NAME.fullmatch(name) or statement.search(value):
        return ""
    text = value[1:-1] if value[:1] in ('"', "'") else value
    return f' {name}="{escape(unescape(text))}"'


def is_bounded(outline: Outline, css: str) -> bool:
    """Return whether the source is within the limits: css-inline uses the web process's time and stack."""
    if outline.is_too_deep or outline.misnested > MAX_MISNESTED or len(css) > MAX_CSS:
        return False
    depth = 0
    for bracket in re.findall(r"[(\[{}\])]", css):
        depth += 1 if bracket in "([{" else -1
        if depth > MAX_BRACKETS:
            return False
    count = len(outline.elements)
    return count <= MAX_ELEMENTS and count * (css.count("{") + css.count(",")) <= MAX_MATCHES


def compute_styles(skeleton: str, css: str) -> dict[int, str]:
    """Return each element's style by its number, as the text of a double-quoted attribute."""
    inliner = CSSInliner(inline_style_tags=False, load_remote_stylesheets=False, extra_css=css)
    try:
        inlined = inliner.inline(skeleton)
    except InlineError:  # a style sheet that cannot be parsed
        return {}
    styles = {}
    for written in ELEMENT_ATTRIBUTES.findall(inlined):
        number, style = NUMBER.search(written), STYLE.search(written)
        if number and style:
            styles[int(number[1])] = style[1].strip()
    return styles


def list_style_changes(outline: Outline, styles: dict[int, str]) -> list[tuple[int, int, str]]:
    changes = []
    for number, style in styles.items():
        element = outline.elements[number]
        if element is None or not style:
            continue
        # Braces in a rule must not become a placeholder.
        style = re.sub(r"\{(?=[{%])", "&#123;", style if style.endswith(";") else style + ";")
        if element.style is None:
            changes.append((element.attributes_at, element.attributes_at, f' style="{style}"'))
            continue
        # The author's own declarations come last, so that they override the rules.
        start, end = element.style.span("value")
        value = element.style["value"]
        if value[0] in "\"'":
            style = style if value[0] == '"' else style.replace("'", "&#39;")
            changes.append((start + 1, start + 1, style + " " if len(value) > 2 else style))
        else:
            changes.append((start, end, f'"{style} {value}"'))
    return changes


def list_sheet_changes(source: str, outline: Outline) -> list[tuple[int, int, str]]:
    return [(start, end, add_important(source[start:end])) for start, end in outline.sheets]


def apply_changes(source: str, changes: list[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, text in sorted(changes):
        pieces += source[position:start], text
        position = end
    return "".join([*pieces, source[position:]])
