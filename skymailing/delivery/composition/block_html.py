"""Write the content of each type of block as HTML that mail programs show alike."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skymailing.delivery.composition import words
from skymailing.delivery.composition.button_html import write_button
from skymailing.delivery.composition.document import Block
from skymailing.delivery.composition.networks import NETWORKS, recognize_network
from skymailing.delivery.composition.picture_html import (
    align_picture,
    link_picture,
    write_image,
    write_logo,
    write_picture,
)
from skymailing.delivery.composition.place import TABLE, Place, align_table
from skymailing.delivery.composition.text_html import heading_style, write_lines
from skymailing.delivery.composition.writing import attribute, write_literally, write_text, write_value
from skymailing.web.colors import choose_text_color

SMALL = 0.85  # times the text size


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


def write_button_block(block: Block, place: Place) -> str:
    fields = block.fields
    return write_button(fields["text"], fields["url"], block, place, radius=fields["radius"])


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
    """Return links to networks: words, or circles with letters, which show even if pictures are blocked.

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
    """Return a card: a picture next to or above a title, a text, prices and a button."""
    fields = block.fields
    if fields["layout"] == "top" or not fields["src"]:
        picture = write_image(fields["src"], fields["alt"], place.width, place)
        if picture:
            picture = align_picture(link_picture(fields["url"], picture), place.width, "left", is_wide=True)
        return picture + _write_offer(block, place, has_space_above=bool(picture))
    width = round(place.width * 0.38)
    picture = link_picture(fields["url"], write_image(fields["src"], fields["alt"], width, place))
    rest = replace(place, width=place.width - width - 20)
    # The cells remain side by side on phones, where the picture shrinks.
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


def write_message(_block: Block, place: Place) -> str:
    """Return the content of a message with a layout."""
    return place.content


def write_footer(block: Block, place: Place) -> str:
    """Return the block's text, the owner's address, and the links that a letter needs."""
    fields, language = block.fields, place.language
    links = [("unsubscribe_url", words.UNSUBSCRIBE)]
    if fields["has_preferences"]:
        links.append(("preferences_url", words.PREFERENCES))
    if fields["has_browser_link"]:
        links.append(("browser_url", words.BROWSER))
    written = [_write_small_link(name, labels[language], block, place) for name, labels in links]
    address = place.brand.address
    parts = [write_text(fields["text"])] if fields["text"].strip() else []
    if address and address not in fields["text"]:
        parts.append(write_literally(address).replace("\n", "<br>"))
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
    "content": write_message,
    "footer": write_footer,
    "unsubscribe": write_unsubscribe,
}
