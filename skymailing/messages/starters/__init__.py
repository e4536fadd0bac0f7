"""Templates for new messages, in each language of the service.

All templates but one are JSON files with designs made of blocks; the exception is a plain HTML page for
the editor's writing mode. docs/editor.md describes the files.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

from skymailing.delivery.composition.composing import write_design
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.messages.starters.reading import apply_brand, choose_texts, make_design, read_file
from skymailing.messages.writing_page import lay_out
from skymailing.models import MessageFormat, SourceFormat
from skymailing.web.urls import public_url

DIRECTORY = Path(__file__).parent
PICTURES = DIRECTORY / "pictures"
EXAMPLE_SITE = "https://example.com/"  # where links lead until the author replaces them
# By category, in the order of the gallery.
CATEGORIES = {
    "general": ("newsletter", "welcome", "miss"),
    "shop": ("arrivals", "sale", "basket"),
    "food": ("menu", "opening"),
    "courses": ("course", "lesson"),
    "events": ("event", "reminder", "thanks"),
    "services": ("visit", "prices", "notice", "review"),
    "holidays": ("newyear", "spring", "birthday"),
}
PLAIN_KEY = "letter"
FIRST_KEYS = ("newsletter", "arrivals", "menu", "course", "event")
NO_BRAND = OwnerBrand()
DESIGN_KEYS = tuple(key for keys in CATEGORIES.values() for key in keys)
KEYS = (*DESIGN_KEYS, PLAIN_KEY)
PLAIN_NAMES = {
    "en": ("Plain email", "personal, with no design"),
    "ru": ("Простое письмо", "личное, без оформления"),
}


class Starter(TypedDict):
    """The values of the form's fields."""

    subject: str
    preheader: str
    format: str
    body: str
    language: str
    source_format: str
    source: str


@dataclass(frozen=True, slots=True)
class Card:
    """A template as shown in the gallery."""

    key: str
    category: str
    name: str
    purpose: str


def get_starter(key: str, language: str, brand: OwnerBrand = NO_BRAND) -> Starter | None:
    """Return a template in the language, or else in English; None if there is no such template."""
    if key not in KEYS:
        return None
    pictures = public_url("messages.starter_picture", name="x").removesuffix("x")
    return read_starter(key, _known(language), pictures, brand)


def read_starter(key: str, language: str, pictures: str, brand: OwnerBrand = NO_BRAND) -> Starter:
    """Return a template; `pictures` is the URL prefix of its pictures.

    The brand's font and colours replace those of the template.
    """
    if key == PLAIN_KEY:
        subject, _, content = _read_letter(language).partition("\n")
        return _make(subject, "", language, SourceFormat.NONE, lay_out(content.strip(), language))
    data = choose_texts(read_file(key), language)
    design = make_design(data, pictures)
    apply_brand(design, brand)
    return _make(data["subject"], data["preheader"], language, SourceFormat.BLOCKS, write_design(design))


def list_cards(language: str) -> list[Card]:
    """Return the designs of the gallery, with their names in a language of the service."""
    return list(_list_cards(_known(language)))


def list_first_cards(language: str) -> list[Card]:
    """Return a selection of designs for different purposes."""
    return [card for card in _list_cards(_known(language)) if card.key in FIRST_KEYS]


@cache
def _list_cards(language: str) -> tuple[Card, ...]:
    cards = []
    for category, keys in CATEGORIES.items():
        for key in keys:
            data = choose_texts(read_file(key), language)
            cards.append(Card(key, category, data["name"], data["purpose"]))
    cards.insert(len(CATEGORIES["general"]), Card(PLAIN_KEY, "general", *PLAIN_NAMES[language]))
    return tuple(cards)


@cache
def _read_letter(language: str) -> str:
    return (DIRECTORY / f"{PLAIN_KEY}.{language}.html").read_text()


def _known(language: str) -> str:
    return language if language in LANGUAGES else "en"


def _make(subject: str, preheader: str, language: str, source_format: SourceFormat, text: str) -> Starter:
    return Starter(
        subject=subject,
        preheader=preheader,
        format=MessageFormat.HTML.value,
        body="" if source_format else text,
        language=language,
        source_format=source_format.value,
        source=text if source_format else "",
    )
