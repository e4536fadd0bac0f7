"""The initial data of the block editor: types and their defaults, colours, networks, and the brand."""

from typing import Any
from urllib.parse import urlsplit

from flask import url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from skymailing.delivery.composition import palette, words
from skymailing.delivery.composition.block_types import BLOCK_TYPES, DEFAULT_STYLE, LAYOUT_TYPES, STYLES
from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.delivery.composition.conditions import ATTRIBUTE_PREFIX, WITHOUT_VALUE
from skymailing.delivery.composition.document import COLUMNS, COLUMNS_FIELDS, MAX_BLOCKS, SETTINGS
from skymailing.delivery.composition.fonts import FONTS
from skymailing.delivery.composition.networks import NETWORKS, recognize_network
from skymailing.delivery.composition.palette import OWN_SETTINGS
from skymailing.extensions import db
from skymailing.models import User
from skymailing.segments.queries import list_segment_names, list_tag_names

COLORS = {
    "background": palette.BACKGROUND,
    "card": palette.CARD,
    "text": palette.TEXT,
    "accent": palette.ACCENT,
    "muted": palette.MUTED,
    "line": palette.LINE,
    "darkText": palette.DARK_TEXT,
    "darkMuted": palette.DARK_MUTED,
    "darkLine": palette.DARK_LINE,
}
# The networks of a new block of social links, by the language of the page.
FIRST_NETWORKS = {"ru": ["vk", "telegram", "website"]}
OTHER_FIRST_NETWORKS = ["facebook", "instagram", "website"]
MEMBERSHIPS = {"tag": _l("Tag"), "segment": _l("Segment")}
WORDS = {
    "unsubscribe": words.UNSUBSCRIBE,
    "preferences": words.PREFERENCES,
    "browser": words.BROWSER,
    "website": words.WEBSITE,
    "email": words.EMAIL,
}


def describe_blocks(owner: User, attributes: list[str], *, is_layout: bool = False) -> dict[str, Any]:
    """Return the data for the scripts of the block editor, as JSON values."""
    brand = find_owner_brand(db.session, owner)
    memberships = _list_memberships(owner.id)
    types = {**BLOCK_TYPES, COLUMNS: COLUMNS_FIELDS, **(LAYOUT_TYPES if is_layout else {})}
    return {
        "types": {
            name: {key: field.default for key, field in fields.items() if key != "delta"}
            for name, fields in types.items()
        },
        "style": DEFAULT_STYLE,
        "styles": STYLES,
        "settings": {name: field.default for name, field in SETTINGS.items()},
        "fonts": FONTS,
        "colors": COLORS,
        "networks": {
            key: {"name": network.name, "letters": network.letters, "color": network.color}
            for key, network in NETWORKS.items()
        },
        "firstNetworks": FIRST_NETWORKS.get(get_locale().language, OTHER_FIRST_NETWORKS),
        "words": {code: {name: texts[code] for name, texts in WORDS.items()} for code in words.UNSUBSCRIBE},
        # The page may load pictures only from its own origin, which may differ from PUBLIC_URL.
        "brand": {
            "logo": urlsplit(brand.logo_url).path,
            "links": [{"network": recognize_network(url), "url": url} for url in brand.links],
            **{name: getattr(brand, name) for name in ("name", "color", "address", *OWN_SETTINGS)},
        },
        "conditionFields": [
            ["name", _("Full name")],
            ["email", _("Email address")],
            *([f"{ATTRIBUTE_PREFIX}{name}", name] for name in attributes),
            *([key, label] for key, label in MEMBERSHIPS.items() if memberships[key]),
        ],
        "memberships": memberships,
        "operatorsWithoutValue": sorted(WITHOUT_VALUE),
        "maxBlocks": MAX_BLOCKS,
        "readable": palette.READABLE,
        "urls": _list_urls(),
    }


def _list_urls() -> dict[str, str]:
    return {
        "saved": url_for("messages.list_blocks"),
        "deleteSaved": url_for("messages.delete_block", block_id=0),
    }


def _list_memberships(owner_id: int) -> dict[str, list[list[str]]]:
    """Return the tags and segments that conditions can use, each with its value and its name."""
    return {
        "tag": [[tag, tag] for tag in list_tag_names(owner_id)],
        "segment": [[str(id), name] for id, name in list_segment_names(owner_id)],
    }
