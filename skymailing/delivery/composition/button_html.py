"""Write buttons as HTML: a coloured link with padding.

Outlook for Windows ignores the padding and rounded corners of links. It gets the padding in the cell around
the link, or for rounded corners a shape (VML) behind it. The link is the same in all mail programs, so that
clicks on it are counted.
"""

from skymailing.delivery.composition.document import Block
from skymailing.delivery.composition.place import TABLE, Place, align_table
from skymailing.delivery.composition.writing import write_text, write_value
from skymailing.web.colors import choose_text_color

PADDING, SIDE_PADDING = 13, 26  # pixels
LINE = 1.25  # times the size of the text
# The assumed width of a bold character, relative to its size. It is deliberately large, because a shape cuts
# off text that is too long.
CHARACTER_WIDTH = 0.68
SHAPE = (
    '<!--[if mso]><v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" stroked="f" fillcolor="{color}" '
    'arcsize="{arc}%" style="width:{width}px;height:{height}px;v-text-anchor:middle">'
    '<v:textbox inset="0,0,0,0"><center><![endif]-->'
)
SHAPE_END = "<!--[if mso]></center></v:textbox></v:roundrect><![endif]-->"


def write_button(text: str, url: str, block: Block, place: Place, *, radius: int) -> str:
    """Return a button, or an empty string if it has no text."""
    if not text.strip():
        return ""
    fields, palette = block.fields, place.palette
    color = fields["color"] or palette.button
    default = choose_text_color(color) if fields["color"] else palette.button_text
    text_color = fields["text_color"] or default
    is_full = fields.get("is_full_width", False)
    tag, end = (f'<a href="{write_value(url)}"', "</a>") if url else ("<span", "</span>")
    style = (
        f"display:{'block' if is_full else 'inline-block'};padding:{PADDING}px {SIDE_PADDING}px;"
        f"mso-padding-alt:0;border-radius:{radius}px;background:{color};color:{text_color};"
        f"font-size:{palette.text_size}px;line-height:{LINE};font-weight:700;text-decoration:none;"
        "text-align:center"
    )
    shape = write_shape(text, color, radius, palette.text_size, place.width, is_full=is_full)
    cell = f"border-radius:{radius}px"
    if not shape:
        cell += f";background-color:{color};mso-padding-alt:{PADDING}px {SIDE_PADDING}px"
    width = ' width="100%"' if is_full else ""
    link = f'{tag} style="{style}">{write_text(text)}{end}'
    content = f"{shape}{link}{SHAPE_END}" if shape else link
    table = f'{TABLE}{width}{align_table(block.style["align"])} style="border-collapse:separate"'
    return f'{table}><tr><td align="center" style="{cell}">{content}</td></tr></table>'


def write_shape(text: str, color: str, radius: int, size: int, available: int, *, is_full: bool) -> str:
    """Return the start of a shape; empty if none is needed, or if the width of the text is not known."""
    width = round(len(text.strip()) * size * CHARACTER_WIDTH) + 2 * SIDE_PADDING
    if not radius or width > available or "{{" in text or "{%" in text:
        return ""
    height = 2 * PADDING + round(size * LINE)
    width = available if is_full else width
    arc = min(round(100 * radius / min(width, height)), 50)
    return SHAPE.format(color=color, arc=arc, width=width, height=height)
