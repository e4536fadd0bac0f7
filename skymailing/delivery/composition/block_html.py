"""Write the content of each type of block as HTML that mail programs show alike."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from skymailing.delivery.composition import words
from skymailing.delivery.composition.document import Block
from skymailing.delivery.composition.networks import NETWORKS, recognize_network
from skymailing.delivery.composition.palette import OwnerBrand, Palette
from skymailing.delivery.composition.text_html import heading_style, write_lines
from skymailing.delivery.composition.writing import attribute, write_plain, write_text, write_value
from skymailing.web.colors import choose_text_color

TABLE = '<table role="presentation" border="0" cellpadding="0" cellspacing="0"'
SMALL = 0.85  # times the letter's size
MIN_PICTURE = 20  # pixels


@dataclass(frozen=True, slots=True)
class Place:
    """What a block's content depends on besides its fields."""

    palette: Palette
    brand: OwnerBrand
    language: str
    width: int  # pixels inside the block's own spacing
    has_own_color: bool = False

    def text_class(self, name: str = "t") -> str:
        """Return the class that dark mode recolours, unless the block has colours of its own."""
        return "" if self.has_own_color else f' class="{name}"'


Writer = Callable[[Block, Place], str]


def write_content(block: Block, place: Place) -> str:
    """Return the content of a block; empty if there is nothing to show."""
    return WRITERS[block.type](block, place)


def write_text_block(block: Block, place: Place) -> str:
    return write_lines(block.fields["delta"], place.palette, has_own_color=place.has_own_color)


def write_heading(block: Block, place: Place) -> str:
    text, level = block.fields["text"], block.fields["level"]
    if not text.strip():
        return ""
    style = f"margin:0;{heading_style(level, place.palette)}"
    return f'<h{level} style="{style}">{write_text(text)}</h{level}>'


def write_picture(block: Block, place: Place) -> str:
    fields = block.fields
    width = max(round(place.width * fields["width"] / 100), MIN_PICTURE)
    alt = "" if fields["is_decorative"] else fields["alt"]
    picture = write_image(fields["src"], alt, width, place, radius=fields["radius"])
    return _aligned(_link(fields["link"], picture), width, block.style["align"]) if picture else ""


def write_image(src: str, alt: str, width: int, place: Place, *, radius: int = 0) -> str:
    """Return a picture that shrinks with its column, and whose text is readable while it is blocked."""
    if not src:
        return ""
    palette = place.palette
    style = (
        f"display:block;width:100%;max-width:{width}px;height:auto;border:0;outline:none;text-decoration:none;"
        f"font:{palette.text_size}px/1.4 {palette.font};color:{palette.link}"
    )
    if radius:
        style += f";border-radius:{radius}px"
    # In a column, a picture as wide as the column also fills the wider column of a phone.
    wide = ' class="w"' if width == place.width else ""
    return f'<img src="{write_value(src)}" alt="{write_value(alt)}" width="{width}"{wide} style="{style}">'


def _aligned(content: str, width: int, align: str) -> str:
    """Return a picture in a cell of its width, which Outlook aligns."""
    margin = {"center": "0 auto", "right": "0 0 0 auto", "left": "0"}[align]
    wide = ' class="w"' if 'class="w"' in content else ""
    return (
        f'{TABLE}{wide}{align_table(align)} width="{width}" '
        f'style="width:100%;max-width:{width}px;margin:{margin}">'
        f"<tr><td>{content}</td></tr></table>"
    )


def align_table(align: str) -> str:
    """Return the attribute that aligns a table; on the left, it would make the text after the table flow."""
    return "" if align == "left" else f' align="{align}"'


def _link(url: str, content: str) -> str:
    return f'<a href="{write_value(url)}" style="text-decoration:none">{content}</a>' if url else content


def write_logo(block: Block, place: Place) -> str:
    """Return the owner's logo, or the owner's name if there is no logo."""
    brand, palette = place.brand, place.palette
    link = block.fields["link"] or brand.website
    if brand.logo_url:
        width = max(round(place.width * block.fields["width"] / 100), MIN_PICTURE)
        picture = write_image(brand.logo_url, brand.name, width, place)
        return _aligned(_link(link, picture), width, block.style["align"])
    if not brand.name:
        return ""
    size = round(palette.text_size * 1.25)
    color = block.style["color"] or palette.text
    style = f"font-size:{size}px;line-height:1.3;font-weight:700;color:{color};text-decoration:none"
    name = write_text(brand.name)
    if link:
        return f'<a href="{write_value(link)}"{place.text_class()} style="{style}">{name}</a>'
    return f'<span{place.text_class()} style="{style}">{name}</span>'


def write_button_block(block: Block, place: Place) -> str:
    fields = block.fields
    return write_button(fields["text"], fields["url"], block, place, radius=fields["radius"])


def write_button(text: str, url: str, block: Block, place: Place, *, radius: int) -> str:
    """Return a button: a coloured cell with padding, which Outlook shows as well."""
    if not text.strip():
        return ""
    fields, palette = block.fields, place.palette
    color = fields["color"] or palette.button
    default = choose_text_color(color) if fields["color"] else palette.button_text
    text_color = fields["text_color"] or default
    is_full = fields.get("is_full_width", False)
    tag, end = (f'<a href="{write_value(url)}"', "</a>") if url else ("<span", "</span>")
    style = (
        f"display:{'block' if is_full else 'inline-block'};padding:13px 26px;mso-padding-alt:0;"
        f"border-radius:{radius}px;background:{color};color:{text_color};font-size:{palette.text_size}px;"
        "line-height:1.25;font-weight:700;text-decoration:none;text-align:center"
    )
    width = ' width="100%"' if is_full else ""
    cell = (
        f'<td align="center" style="border-radius:{radius}px;background-color:{color};'
        f'mso-padding-alt:13px 26px">{tag} style="{style}">{write_text(text)}{end}</td>'
    )
    place_of_table = align_table(block.style["align"])
    return f'{TABLE}{width}{place_of_table} style="border-collapse:separate"><tr>{cell}</tr></table>'


def write_divider(block: Block, place: Place) -> str:
    fields = block.fields
    color, line = fields["color"] or place.palette.line, fields["line"]
    line_class = "" if fields["color"] or place.has_own_color else ' class="l"'
    style = f"border-top:{fields['thickness']}px {line} {color};font-size:1px;line-height:1px"
    return (
        f'{TABLE}{align_table(block.style["align"])} width="{fields["width"]}%"><tr>'
        f'<td{line_class} style="{style}">&nbsp;</td></tr></table>'
    )


def write_space(block: Block, _place: Place) -> str:
    height = block.fields["height"]
    return f'<div style="height:{height}px;line-height:{height}px;font-size:1px">&nbsp;</div>'


def write_social(block: Block, place: Place) -> str:
    """Return links to networks: circles with letters, which show even if pictures are blocked, or words.

    A block without links shows those of the owner's brand.
    """
    own = [{"network": recognize_network(url), "url": url} for url in place.brand.links]
    links = [link for link in block.fields["links"] if link["url"]] or own
    if not links:
        return ""
    if block.fields["shape"] == "words":
        content = " &nbsp;&middot;&nbsp; ".join(_write_word(link, block, place) for link in links)
    else:
        content = " ".join(_write_circle(link, block, place) for link in links)
    return f'<p style="margin:0">{content}</p>'


def name_network(key: str, language: str) -> str:
    own = {"website": words.WEBSITE, "email": words.EMAIL}
    return own[key][language] if key in own else NETWORKS[key].name


def _write_word(link: dict[str, Any], block: Block, place: Place) -> str:
    color = block.fields["color"] or place.palette.link
    shown = "" if block.fields["color"] else place.text_class("a")
    name = write_text(name_network(link["network"], place.language))
    return f'<a href="{write_value(link["url"])}"{shown} style="color:{color}">{name}</a>'


def _write_circle(link: dict[str, Any], block: Block, place: Place) -> str:
    network = NETWORKS[link["network"]]
    color = block.fields["color"] or network.color
    style = (
        f"display:inline-block;width:36px;height:36px;line-height:36px;margin:0 3px 6px;border-radius:18px;"
        f"background:{color};color:{choose_text_color(color)};font-size:13px;font-weight:700;"
        "text-align:center;text-decoration:none"
    )
    name = name_network(link["network"], place.language)
    return (
        f'<a href="{write_value(link["url"])}"{attribute("title", name)}{attribute("aria-label", name)} '
        f'style="{style}">{network.letters}</a>'
    )


def write_product(block: Block, place: Place) -> str:
    """Return a card: a picture beside or above a title, a text, prices and a button."""
    fields = block.fields
    if fields["layout"] == "top" or not fields["src"]:
        picture = write_image(fields["src"], fields["alt"], place.width, place)
        picture = _aligned(_link(fields["url"], picture), place.width, "left") if picture else ""
        return picture + _write_offer(block, place, has_space_above=bool(picture))
    width = round(place.width * 0.38)
    picture = _link(fields["url"], write_image(fields["src"], fields["alt"], width, place))
    rest = replace(place, width=place.width - width - 20)
    # Beside each other on phones as well, where the picture becomes smaller.
    cells = (
        f'<td valign="top" width="38%" style="width:38%">{picture}</td>'
        '<td width="20" style="width:20px;font-size:1px;line-height:16px">&nbsp;</td>'
        f'<td valign="top">{_write_offer(block, rest)}</td>'
    )
    return f'{TABLE} width="100%"><tr>{cells}</tr></table>'


def _write_offer(block: Block, place: Place, *, has_space_above: bool = False) -> str:
    fields, palette = block.fields, place.palette
    parts = []
    if fields["title"].strip():
        style = f"margin:0 0 6px;{heading_style(3, palette)}"
        parts.append(f'<h3 style="{style}">{write_text(fields["title"])}</h3>')
    if fields["text"].strip():
        parts.append(f'<p style="margin:0 0 8px">{write_text(fields["text"])}</p>')
    if price := _write_price(block, place):
        parts.append(f'<p style="margin:0 0 12px">{price}</p>')
    parts.append(write_button(fields["button"], fields["url"], block, place, radius=6))
    space = '<div style="height:16px;line-height:16px;font-size:1px">&nbsp;</div>' if has_space_above else ""
    written = "".join(parts)
    return space + written if written else ""


def _write_price(block: Block, place: Place) -> str:
    price, old = block.fields["price"], block.fields["old_price"]
    parts = []
    if price.strip():
        size = round(place.palette.text_size * 1.25)
        parts.append(f'<strong style="font-size:{size}px">{write_text(price)}</strong>')
    if old.strip():
        parts.append(f'<s{place.text_class("m")} style="color:{place.palette.muted}">{write_text(old)}</s>')
    return "&nbsp; ".join(parts)


def write_code(block: Block, _place: Place) -> str:
    return str(block.fields["html"])


def write_footer(block: Block, place: Place) -> str:
    """Return the owner's address or another text, and the links that a letter needs."""
    fields, language = block.fields, place.language
    links = [("unsubscribe_url", words.UNSUBSCRIBE)]
    if fields["has_preferences"]:
        links.append(("preferences_url", words.PREFERENCES))
    if fields["has_browser_link"]:
        links.append(("browser_url", words.BROWSER))
    written = [_write_small_link(name, labels[language], block, place) for name, labels in links]
    address = place.brand.address
    texts = [fields["text"], "" if address in fields["text"] else write_plain(address)]
    parts = [write_text(text) for text in texts if text.strip()]
    return _small("<br>".join([*parts, " &nbsp;&middot;&nbsp; ".join(written)]), block, place)


def write_unsubscribe(block: Block, place: Place) -> str:
    label = block.fields["text"].strip() or words.UNSUBSCRIBE[place.language]
    return _small(_write_small_link("unsubscribe_url", label, block, place), block, place)


def _write_small_link(name: str, label: str, block: Block, place: Place) -> str:
    color = block.style["color"] or place.palette.muted
    style = f"color:{color};text-decoration:underline"
    return f'<a href="{{{{ {name} }}}}"{place.text_class("m")} style="{style}">{write_text(label)}</a>'


def _small(content: str, block: Block, place: Place) -> str:
    size = round(place.palette.text_size * SMALL)
    color = block.style["color"] or place.palette.muted
    style = f"margin:0;font-size:{size}px;line-height:1.6;color:{color}"
    return f'<p{place.text_class("m")} style="{style}">{content}</p>'


WRITERS: dict[str, Writer] = {
    "text": write_text_block,
    "heading": write_heading,
    "picture": write_picture,
    "logo": write_logo,
    "button": write_button_block,
    "divider": write_divider,
    "space": write_space,
    "social": write_social,
    "product": write_product,
    "code": write_code,
    "footer": write_footer,
    "unsubscribe": write_unsubscribe,
}
