"""Write the values of a design into HTML. Liquid tags are kept; everything else is text, never markup."""

import re
from collections.abc import Callable
from html import escape

from skymailing.delivery.rendering.content import prepare
from skymailing.delivery.rendering.tag_masking import MaskedSource

SPACES = re.compile("  +| $|^ ")
# How visual editors escape Liquid in addresses (see `rendering/tag_repair.py`).
ESCAPED_BRACES = re.compile("%(?=7B%7B)", re.IGNORECASE)


def write_around_tags(source: str, write: Callable[[str], str]) -> str:
    """Convert a text with `write`, but keep its Liquid tags; braces outside of tags remain text."""
    if "{" not in source and "%7" not in source:
        return write(source)
    masked = MaskedSource(prepare(source))
    return masked.unmask(write(masked.text).replace("{", "&#123;"))


def write_text(source: str) -> str:
    """Return a text as HTML, with line breaks; spaces in a row are kept."""
    return write_around_tags(source, _write_plain)


def _write_plain(text: str) -> str:
    text = escape(text, quote=False).replace("\u00a0", "&nbsp;")
    text = SPACES.sub(lambda spaces: "&nbsp;" * (len(spaces[0]) - 1) + " ", text)
    return text.replace("\n", "<br>")


def write_value(source: str) -> str:
    """Return a text as the value of an attribute in double quotes."""
    return write_around_tags(source.replace("\n", " "), lambda text: escape(text, quote=True))


def write_literally(text: str) -> str:
    """Return a text that contains no Liquid, for text or for an attribute in double quotes."""
    return ESCAPED_BRACES.sub("&#37;", escape(text, quote=True).replace("{", "&#123;"))


def attribute(name: str, value: str) -> str:
    """Return an attribute with a space before it, or an empty string if it has no value."""
    return f' {name}="{write_value(value)}"' if value else ""
