"""Convert HTML to the plain-text part of a letter.

The web process converts authors' HTML. The standard library's HTMLParser needs minutes for 100 KB of hostile
HTML (many `<a `), so this module finds tags itself, in linear time.
"""

import re
from html import unescape

from skymailing.delivery.rendering.html_pieces import DECLARATION, read_attributes
from skymailing.delivery.rendering.visibility import Reader, is_hidden

BLOCKS = frozenset(
    "address article aside blockquote body center dd div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tbody tfoot thead tr ul".split()
)
# These have a blank line before and after; other blocks only start a new line.
SPACED = frozenset("blockquote dl figure h1 h2 h3 h4 h5 h6 hr ol p pre table ul".split())
SPACE = re.compile(r"[ \t\n]+")
# A line without text, such as the content of a table cell used for spacing.
BLANK_LINE = re.compile(r"^[ \u00a0]+$", re.MULTILINE)
BREAKS = re.compile(r"[\v\f][ \v\f]*")
HIDDEN_TAGS = frozenset("head script style template title".split())
# Elements whose nesting is counted even in hidden content.
CONTAINERS = frozenset("pre ul ol".split())


# Markers for `get_text`: a space if words would touch, and the start of a list item. Letters contain neither.
SPACE_IF_NEEDED, ITEM = "\x1f", "\x1e"
TOUCHING_TEXTS = re.compile("(?<=[^\\s\x1f(\\[{\"'«„“‘])\x1f+(?=[^\\s.,;:!?…)\\]}\"'»”’])")
# The padding that senders put after a preview text, so that mail programs do not show the text that follows.
FILLER = re.compile(
    "(?:[\u00ad\u034f\u061c\u115f\u180e\u2007\u200b-\u200f\u2060-\u2064\ufeff][\u00a0 ]*){3,}"
)

TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9]*+)((?:"[^"<]*+"|'[^'<]*+'|[^<>"'])*+)>""")
ATTRIBUTE = re.compile(
    r"""(?<![^\s"'])(href|alt)\s{0,9}=\s{0,9}("[^"]*+"|'[^']*+'|[^\s"']++)""", re.IGNORECASE
)


def strip_comments(html: str) -> str:
    """Remove comments; an unclosed comment hides the rest, as in a browser."""
    pieces, end = [], 0
    while (start := html.find("<!--", end)) >= 0:
        pieces.append(html[end:start])
        end = html.find("-->", start)
        if end < 0:
            return "".join(pieces)
        end += 3
    return "".join(pieces) + html[end:]


class TextWriter:
    """Collect the text as a reader sees it."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.hidden = 0
        self.preformatted = 0
        self.lists: list[int | None] = []
        self.link: tuple[str, int] | None = None
        self.reader = Reader()
        self.has_started = False  # whether anything visible has been written

    @property
    def is_skipping(self) -> bool:
        """Whether the next text is hidden from readers of the HTML; a preview text at the start is kept."""
        if self.hidden or self.reader.shows_text:
            return self.hidden > 0
        # A hidden table row is not a preview text: it is shown on other devices.
        return self.has_started or self.reader.hidden_rows > 0

    def feed(self, html: str) -> None:
        end = 0
        html = DECLARATION.sub("", strip_comments(html))
        for match in TAG.finditer(html):
            self.handle_data(html[end : match.start()])
            end = match.end()
            if match.group(1):
                self.handle_endtag(match.group(2).lower())
            else:
                self.handle_starttag(match.group(2).lower(), match.group(3))
        self.handle_data(html[end:])

    def handle_starttag(self, tag: str, attributes: str) -> None:  # noqa: C901 - one case per element
        self.reader.start(tag, read_attributes(attributes), attributes)
        if tag in HIDDEN_TAGS:
            self.hidden += 1
        if self.is_skipping and tag not in CONTAINERS:
            return
        if tag in BLOCKS:
            self.break_line(tag)
        match tag:
            case "br":
                self.pieces.append("\n")
            case "hr":
                self.pieces.append("-" * 20)
                self.break_line(tag)
            case "a":
                self.pieces.append(SPACE_IF_NEEDED)
                self.link = (find_attribute("href", attributes), len(self.pieces))
            case "img" if not is_hidden(read_attributes(attributes)):
                alt = SPACE.sub(" ", find_attribute("alt", attributes)).strip()
                self.pieces.append(f"{SPACE_IF_NEEDED}{alt}{SPACE_IF_NEEDED}")
            case "td" | "th":
                self.pieces.append(" ")
            case "pre":
                self.preformatted += 1
            case "ul" | "ol":
                self.lists.append(1 if tag == "ol" else None)
            case "li":
                self.pieces.append(self.start_item())

    def handle_endtag(self, tag: str) -> None:
        was_skipping = self.is_skipping
        self.reader.end(tag)
        if tag in HIDDEN_TAGS and self.hidden:
            self.hidden -= 1
        if was_skipping and tag not in CONTAINERS:
            if tag in BLOCKS:
                self.pieces.append("\v")
            return
        if tag == "a" and self.link:
            self.end_link(*self.link)
        if tag == "pre" and self.preformatted:
            self.preformatted -= 1
        if tag in {"ul", "ol"} and self.lists:
            self.lists.pop()
        if tag in BLOCKS:
            self.break_line(tag)

    def handle_data(self, data: str) -> None:
        if self.is_skipping:
            return
        data = unescape(data)
        self.has_started = self.has_started or (self.reader.shows_text and not data.isspace() and data != "")
        # Spaces that must be kept are no-break spaces until `get_text` converts them back.
        self.pieces.append(data.replace(" ", "\u00a0") if self.preformatted else SPACE.sub(" ", data))

    def break_line(self, tag: str) -> None:
        # \v and \f mark line and paragraph breaks until `get_text` merges them.
        # A list has no blank lines, even if its items are paragraphs.
        self.pieces.append("\f" if tag in SPACED and not self.lists else "\v")

    def start_item(self) -> str:
        number = self.lists[-1] if self.lists else None
        indent = "\u00a0\u00a0" * min(len(self.lists) - 1, 9)
        if number is None:
            return f"{indent}- {ITEM}"
        self.lists[-1] = number + 1
        return f"{indent}{number}. {ITEM}"

    def end_link(self, url: str, start: int) -> None:
        self.link = None
        text = "".join(self.pieces[start:]).strip(" \n\v\f\x1f")
        url = url.strip()
        if url and not url.startswith(("#", "mailto:", "tel:")) and not is_same(url, text):
            # A link without text contains an image.
            self.pieces.append(f" ({url})" if text else url)
        self.pieces.append(SPACE_IF_NEEDED)

    def get_text(self) -> str:
        text = FILLER.sub("", "".join(self.pieces))
        text = re.sub(f"{ITEM}[ \v\f{SPACE_IF_NEEDED}]*", "", text)
        text = TOUCHING_TEXTS.sub(" ", text).replace(SPACE_IF_NEEDED, "")
        text = re.sub(r"\n +", "\n", text)
        text = BREAKS.sub(lambda match: "\n\n" if "\f" in match.group() else "\n", text)
        text = BLANK_LINE.sub("", text)
        text = re.sub(r"\n{3,}", "\n\n", text).strip("\n \v\f") + "\n"
        return text.replace("\u00a0", " ")


def is_same(url: str, text: str) -> bool:
    """Return whether a link's text already shows its URL."""
    short = re.sub(r"^https?://(?:www\.)?|/$", "", url)
    return text in (url, short, f"www.{short}", f"{short}/")


def find_attribute(name: str, attributes: str) -> str:
    """Return the value of an attribute of a tag, or an empty string."""
    for match in ATTRIBUTE.finditer(attributes):
        if match.group(1).lower() == name:
            return unescape(match.group(2).strip("\"'"))
    return ""


def html_to_text(html: str) -> str:
    """Return the text of `html` with lists and paragraphs; links become "text (url)"."""
    writer = TextWriter()
    writer.feed(re.sub(r"[\v\f\r]", " ", html))
    return writer.get_text()
