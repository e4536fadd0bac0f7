"""Write pictures and logos as HTML."""

from skymailing.delivery.composition.document import Block
from skymailing.delivery.composition.place import TABLE, Place, align_table
from skymailing.delivery.composition.writing import write_literally, write_value

MIN_PICTURE = 20  # pixels


def write_picture(block: Block, place: Place) -> str:
    fields = block.fields
    width = max(round(place.width * fields["width"] / 100), MIN_PICTURE)
    alt = "" if fields["is_decorative"] else fields["alt"]
    picture = write_image(fields["src"], alt, width, place, radius=fields["radius"])
    if not picture:
        return ""
    is_wide = width == place.width
    return align_picture(link_picture(fields["link"], picture), width, block.style["align"], is_wide=is_wide)


def write_image(src: str, alt: str, width: int, place: Place, *, radius: int = 0) -> str:
    """Return a picture, or an empty string if it has no address."""
    return write_written_image(write_value(src), write_value(alt), width, place, radius=radius) if src else ""


def write_written_image(src: str, alt: str, width: int, place: Place, *, radius: int = 0) -> str:
    """Return a picture that shrinks with its column, with alternative text that is readable without it.

    `src` and `alt` are already escaped as values of attributes.
    """
    palette = place.palette
    style = (
        f"display:block;width:100%;max-width:{width}px;height:auto;border:0;outline:none;text-decoration:none;"
        f"font:{palette.text_size}px/1.4 {palette.font};color:{palette.link}"
    )
    if radius:
        style += f";border-radius:{radius}px"
    # In a column, a picture as wide as the column also fills the wider column of a phone.
    classes = ([] if place.has_own_color else ["a"]) + (["w"] if width == place.width else [])
    shown = f' class="{" ".join(classes)}"' if classes else ""
    return f'<img src="{src}" alt="{alt}" width="{width}"{shown} style="{style}">'


def align_picture(content: str, width: int, align: str, *, is_wide: bool = False) -> str:
    """Return a picture in a cell of its width, which Outlook aligns."""
    margin = {"center": "0 auto", "right": "0 0 0 auto", "left": "0"}[align]
    wide = ' class="w"' if is_wide else ""
    return (
        f'{TABLE}{wide}{align_table(align)} width="{width}" '
        f'style="width:100%;max-width:{width}px;margin:{margin}">'
        f"<tr><td>{content}</td></tr></table>"
    )


def link_picture(url: str, content: str) -> str:
    return f'<a href="{write_value(url)}" style="text-decoration:none">{content}</a>' if url else content


def write_logo(block: Block, place: Place) -> str:
    """Return the owner's logo, or the owner's name if there is no logo."""
    brand, palette = place.brand, place.palette
    name, link = write_literally(brand.name), write_value(block.fields["link"])
    link = link or write_literally(brand.website)
    start, end = (f'<a href="{link}"', "</a>") if link else ("<span", "</span>")
    if brand.logo_url:
        width = max(round(place.width * block.fields["width"] / 100), MIN_PICTURE)
        picture = write_written_image(write_literally(brand.logo_url), name, width, place)
        return align_picture(f"{start}>{picture}{end}", width, block.style["align"])
    if not name:
        return ""
    size = round(palette.text_size * 1.25)
    color = block.style["color"] or palette.text
    style = f"font-size:{size}px;line-height:1.3;font-weight:700;color:{color};text-decoration:none"
    return f'{start}{place.text_class()} style="{style}">{name}{end}'
