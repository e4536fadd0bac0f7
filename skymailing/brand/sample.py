"""Compose a short sample letter that shows a brand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask_babel import gettext as _

from skymailing.delivery.composition.document import VERSION, read_document
from skymailing.delivery.composition.fonts import FONTS
from skymailing.delivery.composition.page import write_page
from skymailing.delivery.composition.palette import OwnerBrand, Palette
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.delivery.rendering.letter import EXAMPLE, Content, preview
from skymailing.models import MessageFormat
from skymailing.web.colors import parse_color
from skymailing.web.form_fields import complete_url

COLORS = {
    "color": "color",
    "text_color": "text",
    "link_color": "link",
    "button_color": "button",
    "background_color": "background",
}


def write_sample(typed: Mapping[str, str], saved: OwnerBrand, language: str) -> str:
    """Return a letter in the saved brand, changed by the typed values; invalid values count as empty."""
    colors: dict[str, Any] = {name: _read_color(typed.get(field, "")) for field, name in COLORS.items()}
    brand = replace(saved, **colors)
    font = typed.get("font", "")
    links = tuple(complete_url(link) or "" for link in typed.get("links", "").split() if "{" not in link)[:12]
    brand = replace(
        brand, font=font if font in FONTS else "", address=typed.get("address", "")[:500], links=links
    )
    document = read_document({"version": VERSION, "settings": {"radius": 8}, "blocks": _make_blocks()})
    code = language if language in LANGUAGES else "en"
    html = write_page(document, Palette.choose(document.settings, brand), brand, code)
    return preview(Content("", MessageFormat.HTML, html, code), EXAMPLE, sender_name=brand.name).html


def _read_color(text: str) -> str:
    try:
        return parse_color(text)
    except ValueError:
        return ""


def _make_blocks() -> list[dict[str, Any]]:
    text = [
        {"insert": _("This is what your emails look like. Here is a")},
        {"insert": " "},
        {"insert": _("link"), "attributes": {"link": "https://example.com/"}},
        {"insert": ".\n"},
    ]
    return [
        {"id": "logo", "type": "logo"},
        {"id": "title", "type": "heading", "text": _("Good news")},
        {"id": "text", "type": "text", "delta": {"ops": text}},
        {"id": "button", "type": "button", "text": _("Learn more"), "url": "https://example.com/"},
        {"id": "social", "type": "social"},
        {"id": "footer", "type": "footer", "text": "{{ sender_name }}"},
    ]
