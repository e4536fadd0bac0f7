"""Write the page of a letter made of blocks: the frame, its rows and its columns.

The page consists of tables, because Outlook lays out nothing else reliably. Each block is a row of one table,
so that conditions can be placed between blocks.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from skymailing.delivery.composition.block_html import write_content
from skymailing.delivery.composition.document import Block, Document
from skymailing.delivery.composition.page_parts import NO_PART, Part, find_styles
from skymailing.delivery.composition.palette import OwnerBrand, Palette
from skymailing.delivery.composition.place import TABLE, Place
from skymailing.web.colors import choose_text_color

MARK = re.compile(r"\[\[(\w+)\]\]")
PAGE = Path(__file__).with_name("page.html")
NARROW_SIDE = 16  # pixels; wider spaces at the sides become this wide on phones


def write_page(
    document: Document, palette: Palette, brand: OwnerBrand, language: str, content: Part = NO_PART
) -> str:
    """Return the HTML template of a letter, with `content` in the place of a content block."""
    settings = document.settings
    place = Place(palette, brand, language, settings["width"], content=content.html)
    radius = f";border-radius:{settings['radius']}px" if settings["radius"] else ""
    parts = {
        "language": language,
        "table": TABLE,
        "narrow": str(settings["width"] - 1),
        "dark": "\n".join(f".{name} {{ {rule} !important; }}" for name, rule in palette.dark.items()),
        "background": palette.background,
        "card": palette.card,
        "width": str(settings["width"]),
        "radius": radius,
        # Round corners are visible only with space around them.
        "around": "24px 0" if radius else "0",
        "rows": _join_rows(document, place),
        "styles": content.styles,
    }
    return MARK.sub(lambda mark: parts[mark[1]], read_frame())


def write_rows(document: Document, palette: Palette, brand: OwnerBrand, language: str) -> Part:
    """Return the blocks of a letter as a table that becomes part of another page.

    Dark mode does not change its colours, because the page around it has its own.
    """
    base = replace(palette, dark={})
    styles = find_styles(write_page(replace(document, blocks=()), base, brand, language))
    rows = _join_rows(document, Place(base, brand, language, document.settings["width"]))
    look = f"width:100%;background:{palette.card}" if document.settings["card"] else "width:100%"
    return Part(f'{TABLE} width="100%" style="{look}">\n{rows}\n</table>', styles)


def _join_rows(document: Document, place: Place) -> str:
    return "\n".join(filter(None, (write_row(block, place) for block in document.blocks)))


@cache
def read_frame() -> str:
    return PAGE.read_text()


def list_rows(
    document: Document, palette: Palette, brand: OwnerBrand, language: str
) -> Iterator[tuple[str, Block, str, str]]:
    """Yield each block except columns: its JSON pointer, the background of its columns, and its row."""
    place = Place(palette, brand, language, document.settings["width"])
    for number, block in enumerate(document.blocks):
        pointer = f"/blocks/{number}"
        if not block.columns:
            yield pointer, block, "", write_row(block, place)
        inner = enter_block(block, place)
        for side, column in enumerate(block.columns):
            for index, child in enumerate(column.blocks):
                at = f"{pointer}/columns/{side}/blocks/{index}"
                yield at, child, block.style["background"], write_row(child, inner)


def enter_block(block: Block, place: Place) -> Place:
    """Return the place inside a block."""
    style = block.style
    if style["background"] or style["color"]:
        place = replace(place, has_own_color=True, palette=adapt(place.palette, block))
    return replace(place, width=max(place.width - 2 * style["padding_side"], 40))


def write_row(block: Block, place: Place) -> str:
    """Return the row of a block with its condition; empty if it has nothing to show."""
    place = enter_block(block, place)
    content = write_columns(block, place) if block.columns else write_content(block, place)
    return show_to_some(block, write_cell(block, place, content)) if content else ""


def adapt(palette: Palette, block: Block) -> Palette:
    """Return the palette of a block with its own colours, in which its text is readable."""
    background = block.style["background"]
    color = block.style["color"] or (choose_text_color(background) if background else palette.text)
    return replace(palette, text=color, muted=color, link=color if background else palette.link)


def write_cell(block: Block, place: Place, content: str) -> str:
    style, palette = block.style, place.palette
    side = style["padding_side"]
    classes = ([] if place.has_own_color else ["t"]) + (["s"] if side > NARROW_SIDE else [])
    if block.shown_on == "desktop":
        row = '<tr class="desktop">'
    else:
        row = '<tr class="phone" style="display:none">' if block.shown_on == "phone" else "<tr>"
    background = style["background"]
    look = (
        f"padding:{style['padding_top']}px {side}px {style['padding_bottom']}px;"
        f"font:{palette.text_size}px/1.5 {palette.font};color:{palette.text};text-align:{style['align']}"
    )
    if background:
        # A style, not an attribute: where styles are removed, text in the default colour remains readable.
        look += f";background-color:{background}"
    shown = f' class="{" ".join(classes)}"' if classes else ""
    return f'{row}<td align="{style["align"]}"{shown} style="{look}">{content}</td></tr>'


def show_to_some(block: Block, row: str) -> str:
    """Return a row that only some devices and clients show."""
    if block.shown_on == "phone":  # Outlook for Windows ignores that it is hidden
        row = f"<!--[if !mso]><!-->{row}<!--<![endif]-->"
    if block.when is None:
        return row
    before, after = block.when.tags
    return f"{before}{row}{after}"


def write_columns(block: Block, place: Place) -> str:
    """Return columns side by side; on phones they follow each other."""
    gap, valign = block.fields["gap"], block.fields["vertical"]
    available = place.width - gap * (len(block.columns) - 1)
    stacked, spaced = (' class="c"', ' class="g"') if block.fields["stacks"] else ("", "")
    between = f'<td{spaced} width="{gap}" style="width:{gap}px;font-size:1px;line-height:1px">&nbsp;</td>'
    cells = []
    for column in block.columns:
        width = available * column.width // 100
        share = f"{width}px" if stacked else f"{100 * width // place.width}%"
        inner = replace(place, width=width)
        rows = "".join(write_row(child, inner) for child in column.blocks) or "<tr><td>&nbsp;</td></tr>"
        cells.append(
            f'<td{stacked} width="{width}" valign="{valign}" style="width:{share};vertical-align:{valign}">'
            f'{TABLE} width="100%">{rows}</table></td>'
        )
    return f'{TABLE} width="100%"><tr>{between.join(cells)}</tr></table>'
