"""Style sheets written into the style attributes of the elements they speak of, as mail programs want it.

css-inline decides what each element looks like, but the document itself is never rewritten: an HTML parser
would move Liquid tags about, and escape what is in them. So css-inline is shown a skeleton made here of
nothing but tags, and what it says is put into the source's own tags; all other bytes stay as they are. The
skeleton is bounded, too: the parser's recursion ends the process at a few ten thousand open tags.
"""

import re
from dataclasses import dataclass, field
from html import escape, unescape

from css_inline import CSSInliner, InlineError

from skymailing.delivery.rendering.css_important import strengthen
from skymailing.delivery.rendering.tag_masking import Placeholders

MAX_ELEMENTS = 5_000
MAX_DEPTH = 120
MAX_MISNESTED = 20  # such as <b> ended by its paragraph: parsers make it anew in each one that follows
MAX_CSS = 100_000  # characters
MAX_BRACKETS = 12  # one inside another, in a style sheet
MAX_MATCHES = 500_000  # elements times selectors; some tenths of a second

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
IMPLIED = frozenset("p li dt dd tr td th tbody thead tfoot option".split())  # ended by the next of their name
# No part of the skeleton: what is loaded, or read otherwise than as elements.
LEFT_OUT = frozenset("base link meta plaintext frameset frame select".split())
PIECE = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<raw>style|script|title|textarea|xmp|iframe|noembed|noframes)\b(?P<head>[^<>]*)>(?P<content>.*?)(?:</(?P=raw)\b|\Z)"
    r"""|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*+)(?P<attributes>(?:"[^"<]*+"|'[^'<]*+'|[^<>"'])*+)>""",
    re.DOTALL | re.IGNORECASE,
)
ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s"'>/=]++)(?:\s{0,9}=\s{0,9}(?P<value>"[^"]*+"|'[^']*+'|[^\s"'=<>`]++))?"""
)
ATTRIBUTE_NAME = re.compile(r"[a-zA-Z][\w-]*")
# As css-inline writes tags, the attributes in an order of its own.
WRITTEN = re.compile(r'<\w+((?: [^\s"=<>]+="[^"]*")+)>')
NUMBER = re.compile(r' data-lq="(\d+)"')
LOOK = re.compile(r' style="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Element:
    """A start tag of the source: where its attributes begin, and its style's value, if it has one."""

    attributes_at: int
    style: re.Match[str] | None


@dataclass
class Outline:
    """What a source consists of, as far as style sheets care."""

    skeleton: list[str] = field(default_factory=list)
    elements: list[Element | None] = field(default_factory=list)
    # The spans of style sheets that hold for every reader.
    sheets: list[tuple[int, int]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    misnested: int = 0
    is_too_deep: bool = False

    def start(self, name: str) -> None:
        if name in IMPLIED and self.open and self.open[-1] == name:
            self.open.pop()
        if name not in VOID:
            self.open.append(name)
        self.is_too_deep = self.is_too_deep or len(self.open) > MAX_DEPTH

    def end(self, name: str) -> None:
        if name in self.open:
            while (last := self.open.pop()) != name:
                self.misnested += last not in IMPLIED


def inline_styles(html: str, extra_css: str = "") -> str:
    """Return a Liquid template of HTML with its style sheets, and `extra_css`, in its style attributes.

    The style sheets stay for what cannot stand in an attribute. A source that is too much of a riddle
    is returned as it is: readers whose mail program knows style sheets miss nothing.
    """
    placeholders = Placeholders(html)
    source = placeholders.source
    outline = read_outline(source, re.compile(placeholders.mark + r"s\d+q"))
    css = "\n".join([extra_css, *(source[start:end] for start, end in outline.sheets)])
    if not css.strip() or not is_bounded(outline, css):
        return html
    looks = find_looks("".join(outline.skeleton), css)
    changes = [*style_changes(outline, looks), *sheet_changes(source, outline)]
    return placeholders.put_back(splice(source, changes))


def read_outline(source: str, statement: re.Pattern[str]) -> Outline:
    outline = Outline()
    for piece in PIECE.finditer(source):
        if piece["raw"]:
            is_for_all = "media" not in piece["head"].lower()
            if piece["raw"].lower() == "style" and is_for_all:
                outline.sheets.append(piece.span("content"))
            continue
        if not piece["name"] or (name := piece["name"].lower()) in LEFT_OUT:
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
    # Attributes between {% if %} and {% endif %} are not for every reader; such an element stays alone.
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
    """Whether css-inline may be asked: its time and its stack are the web process's own."""
    if outline.is_too_deep or outline.misnested > MAX_MISNESTED or len(css) > MAX_CSS:
        return False
    depth = 0
    for bracket in re.findall(r"[(\[{}\])]", css):
        depth += 1 if bracket in "([{" else -1
        if depth > MAX_BRACKETS:
            return False
    count = len(outline.elements)
    return count <= MAX_ELEMENTS and count * (css.count("{") + css.count(",")) <= MAX_MATCHES


def find_looks(skeleton: str, css: str) -> dict[int, str]:
    """Return the style of each element by its number, as the text of an attribute in double quotes."""
    inliner = CSSInliner(inline_style_tags=False, load_remote_stylesheets=False, extra_css=css)
    try:
        inlined = inliner.inline(skeleton)
    except InlineError:  # a style sheet that nobody understands
        return {}
    looks = {}
    for written in WRITTEN.findall(inlined):
        number, look = NUMBER.search(written), LOOK.search(written)
        if number and look:
            looks[int(number[1])] = look[1].strip()
    return looks


def style_changes(outline: Outline, looks: dict[int, str]) -> list[tuple[int, int, str]]:
    changes = []
    for number, look in looks.items():
        element = outline.elements[number]
        if element is None or not look:
            continue
        # What the rule has made up must not become a placeholder.
        look = re.sub(r"\{(?=[{%])", "&#123;", look if look.endswith(";") else look + ";")
        if element.style is None:
            changes.append((element.attributes_at, element.attributes_at, f' style="{look}"'))
            continue
        # The author's own declarations come last, and so win.
        start, end = element.style.span("value")
        value = element.style["value"]
        if value[0] in "\"'":
            look = look if value[0] == '"' else look.replace("'", "&#39;")
            changes.append((start + 1, start + 1, look + " " if len(value) > 2 else look))
        else:
            changes.append((start, end, f'"{look} {value}"'))
    return changes


def sheet_changes(source: str, outline: Outline) -> list[tuple[int, int, str]]:
    return [(start, end, strengthen(source[start:end])) for start, end in outline.sheets]


def splice(source: str, changes: list[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end, text in sorted(changes):
        pieces += source[position:start], text
        position = end
    return "".join([*pieces, source[position:]])
