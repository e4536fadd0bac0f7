"""Write the text of a block as HTML with inline styles, as mail programs require."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from skymailing.delivery.composition.delta import Line, Piece
from skymailing.delivery.composition.palette import Palette
from skymailing.delivery.composition.writing import write_text, write_value
from skymailing.delivery.rendering.liquid_tags import RAW, find_tags

TAGS = {"bold": "strong", "italic": "em", "underline": "u", "strike": "s"}
SIZES = {"small": 0.85, "large": 1.25, "huge": 1.75}  # times the letter's size
HEADINGS = {1: 1.75, 2: 1.375, 3: 1.125}
GAP = 12  # pixels between paragraphs


def write_lines(lines: Sequence[Line], palette: Palette, *, has_own_color: bool = False) -> str:
    """Return the lines of a text as paragraphs, headings and lists."""
    writer = _Writer(palette, "" if has_own_color else ' class="a"')
    groups = [
        (kind, list(group)) for kind, group in groupby(lines, key=lambda line: "list" in line.attributes)
    ]
    pieces = []
    for index, (is_list, group) in enumerate(groups):
        is_last = index == len(groups) - 1
        pieces.append(writer.write_list(group, is_last) if is_list else writer.write_block(group, is_last))
    return "".join(pieces)


def heading_style(level: int, palette: Palette) -> str:
    """Return the style of a heading's text."""
    size = round(palette.text_size * HEADINGS[level])
    return f"font-size:{size}px;line-height:1.3;font-weight:700"


def write_link(url: str, color: str, classes: str = "") -> str:
    """Return the start tag of a link."""
    return f'<a href="{write_value(url)}"{classes} style="color:{color};text-decoration:underline">'


class _Writer:
    def __init__(self, palette: Palette, link_class: str) -> None:
        self.palette = palette
        self.link_class = link_class

    def write_block(self, lines: list[Line], is_last: bool) -> str:
        return "".join(
            self.write_paragraph(line, is_last and index == len(lines) - 1)
            for index, line in enumerate(lines)
        )

    def write_paragraph(self, line: Line, is_last: bool) -> str:
        content = self.write_pieces(line.pieces)
        if is_statement(line):
            return content  # it must not leave an empty line in the letter
        level = line.attributes.get("header")
        margin = 0 if is_last else GAP
        align = write_align(line)
        if level:
            style = f"margin:0 0 {margin}px;{heading_style(level, self.palette)}{align}"
            return f'<h{level} style="{style}">{content}</h{level}>'
        return f'<p style="margin:0 0 {margin}px{align}">{content or "<br>"}</p>'

    def write_list(self, lines: list[Line], is_last: bool) -> str:
        """Return lists, one for each run of items of the same kind; deeper items are indented."""
        pieces = []
        groups = [(kind, list(items)) for kind, items in groupby(lines, key=list_kind)]
        for index, ((name, depth), items) in enumerate(groups):
            margin = GAP if not is_last and index == len(groups) - 1 else 0
            indent = 24 * (depth + 1)
            written = "".join(self.write_item(item) for item in items)
            pieces.append(
                f'<{name} style="margin:0 0 {margin}px;padding:0 0 0 {indent}px">{written}</{name}>'
            )
        return "".join(pieces)

    def write_item(self, line: Line) -> str:
        align = write_align(line)
        return f'<li style="margin:0 0 4px{align}">{self.write_pieces(line.pieces)}</li>'

    def write_pieces(self, pieces: Iterable[Piece]) -> str:
        written = []
        for (url, color), group in groupby(pieces, key=find_link):
            content = "".join(self.write_piece(piece) for piece in group)
            if url:
                start = write_link(url, color or self.palette.link, "" if color else self.link_class)
                content = f"{start}{content}</a>"
            written.append(content)
        return "".join(written)

    def write_piece(self, piece: Piece) -> str:
        content = "<br>" if piece.is_break else piece.text if piece.is_tag else write_text(piece.text)
        attributes = piece.attributes
        for name, tag in TAGS.items():
            if name in attributes:
                content = f"<{tag}>{content}</{tag}>"
        if style := self.write_style(piece):
            content = f'<span style="{style}">{content}</span>'
        return content

    def write_style(self, piece: Piece) -> str:
        attributes, styles = piece.attributes, []
        if color := attributes.get("color"):
            styles.append(f"color:{color}")
        if background := attributes.get("background"):
            styles.append(f"background-color:{background}")
        if size := attributes.get("size"):
            styles.append(f"font-size:{round(self.palette.text_size * SIZES[size])}px")
        return ";".join(styles)


def find_link(piece: Piece) -> tuple[str, str]:
    """Return the link of a piece, which neighbouring pieces share, and the link's colour."""
    url = piece.attributes.get("link", "")
    return url, piece.attributes.get("color", "") if url else ""


def write_align(line: Line) -> str:
    return f";text-align:{line.attributes['align']}" if "align" in line.attributes else ""


def is_item(line: Line) -> bool:
    return "list" in line.attributes


def list_kind(line: Line) -> tuple[str, int]:
    return "ol" if line.attributes["list"] == "ordered" else "ul", line.attributes.get("indent", 0)


def is_statement(line: Line) -> bool:
    """Return whether a line consists only of Liquid statements, which print nothing themselves."""
    rests = []
    tags = []
    for piece in line.pieces:
        rest = piece.text
        for tag in find_tags(piece.text):
            tags.append(tag)
            rest = rest.replace(tag.text, "", 1)
        rests.append(rest)
    is_output = any(tag.is_output or RAW.match(tag.text) for tag in tags)
    return bool(tags) and not is_output and not "".join(rests).strip()
