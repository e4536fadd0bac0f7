"""The types of blocks, and the fields of each. docs/editor.md describes them for programs."""

from typing import Any

from skymailing.delivery.composition.checks import (
    Check,
    Field,
    color,
    flag,
    one_of,
    read_object,
    template,
    url,
    whole,
)
from skymailing.delivery.composition.code_check import check_html
from skymailing.delivery.composition.delta import parse_delta
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.networks import NETWORKS

MAX_LINE = 500  # characters
MAX_TEXT = 5_000
MAX_LINKS = 12
ALIGNMENTS = ("left", "center", "right")


def read_html(value: Any, pointer: str) -> str:
    html: str = template(50_000, has_lines=True)(value, pointer)
    check_html(html, pointer)
    return html


def read_links(value: Any, pointer: str) -> list[dict[str, Any]]:
    """Check the links of a social block."""
    if not isinstance(value, list):
        raise InvalidSource("design_not_list", pointer)
    if len(value) > MAX_LINKS:
        raise InvalidSource("design_too_many", pointer, limit=MAX_LINKS)
    fields = {"network": Field(one_of(*NETWORKS), "website"), "url": Field(url)}
    return [read_object(link, f"{pointer}/{index}", fields) for index, link in enumerate(value)]


def choice(*values: str) -> Field:
    """Return a field with one of these values; the first is the default."""
    return Field(one_of(*values), values[0])


PICTURE = {
    "src": Field(url),
    "alt": Field(template(300)),
}
BUTTON_COLORS = {"color": Field(color), "text_color": Field(color)}

# Columns are not listed here, because they contain blocks; `document.py` parses them.
BLOCK_TYPES: dict[str, dict[str, Field]] = {
    "text": {"delta": Field(parse_delta, ())},
    "heading": {"text": Field(template(MAX_LINE)), "level": Field(whole(1, 3), 1)},
    "picture": {
        **PICTURE,
        "is_decorative": Field(flag, False),
        "width": Field(whole(5, 100), 100),
        "link": Field(url),
        "radius": Field(whole(0, 60), 0),
    },
    "logo": {"width": Field(whole(5, 100), 30), "link": Field(url)},
    "button": {
        "text": Field(template(100)),
        "url": Field(url),
        **BUTTON_COLORS,
        "radius": Field(whole(0, 40), 6),
        "is_full_width": Field(flag, False),
    },
    "divider": {
        "color": Field(color),
        "thickness": Field(whole(1, 10), 1),
        "width": Field(whole(10, 100), 100),
        "line": choice("solid", "dashed", "dotted"),
    },
    "space": {"height": Field(whole(1, 200), 24)},
    "social": {"links": Field(read_links, ()), "color": Field(color), "shape": choice("circles", "words")},
    "product": {
        **PICTURE,
        "layout": choice("top", "left"),
        "title": Field(template(MAX_LINE)),
        "text": Field(template(MAX_TEXT, has_lines=True)),
        "price": Field(template(100)),
        "old_price": Field(template(100)),
        "button": Field(template(100)),
        "url": Field(url),
        **BUTTON_COLORS,
    },
    "code": {"html": Field(read_html)},
    "footer": {
        "text": Field(template(MAX_TEXT, has_lines=True)),
        "has_preferences": Field(flag, False),
        "has_browser_link": Field(flag, False),
    },
    "unsubscribe": {"text": Field(template(200))},
}
# The place of the message in a layout.
CONTENT = "content"
LAYOUT_TYPES: dict[str, dict[str, Field]] = {CONTENT: {}}
# The default spacing and alignment of types of blocks; other types have DEFAULT_STYLE.
STYLES: dict[str, dict[str, Any]] = {
    "heading": {"padding_top": 16, "padding_bottom": 8},
    "picture": {"align": "center"},
    "logo": {"padding_top": 24, "padding_bottom": 16, "align": "center"},
    "button": {"padding_top": 12, "padding_bottom": 12},
    "divider": {"padding_top": 16, "padding_bottom": 16, "align": "center"},
    "space": {"padding_top": 0, "padding_bottom": 0},
    "columns": {"padding_top": 8, "padding_bottom": 8},
    "social": {"padding_top": 16, "padding_bottom": 16, "align": "center"},
    "product": {"padding_top": 12, "padding_bottom": 12},
    "code": {"padding_top": 0, "padding_bottom": 0, "padding_side": 0},
    "footer": {"padding_top": 20, "padding_bottom": 24, "align": "center"},
    "unsubscribe": {"align": "center"},
}
DEFAULT_STYLE: dict[str, Any] = {
    "padding_top": 8,
    "padding_bottom": 8,
    "padding_side": 24,
    "align": "left",
    "background": "",
    "color": "",
}
STYLE_CHECKS: dict[str, Check] = {
    "padding_top": whole(0, 120),
    "padding_bottom": whole(0, 120),
    "padding_side": whole(0, 80),
    "align": one_of(*ALIGNMENTS),
    "background": color,
    "color": color,
}


def read_style(data: Any, pointer: str, type_name: str, *, is_nested: bool) -> dict[str, Any]:
    """Return the style of a block; in a column, a block has no space at its sides by default."""
    defaults = DEFAULT_STYLE | STYLES.get(type_name, {})
    if is_nested:
        defaults |= {"padding_side": 0}
    fields = {name: Field(check, defaults[name]) for name, check in STYLE_CHECKS.items()}
    return read_object(data, pointer, fields)
