"""Compose designs, and read the HTML as its reader sees it, independently of the code under test."""

from collections.abc import Callable
from typing import Any

from bs4 import BeautifulSoup

from skymailing.delivery.composition.composing import read_source, write_design
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.letter import EXAMPLE, Content, Rendered, preview
from skymailing.models import MessageFormat, SourceFormat

BRAND = OwnerBrand("Tea <Shop>", "https://tea.example/", "#7a2e8e", "https://tea.example/logo.png")


def compose(design: Any, brand: OwnerBrand = BRAND, language: str = "en") -> str:
    """Return the HTML template of a design."""
    return read_source(SourceFormat.BLOCKS, write_design(design)).compose(brand, language)


def compose_mjml(source: str) -> str:
    return read_source(SourceFormat.MJML, source).compose(BRAND, "en")


def render(html: str) -> Rendered:
    """Return the letter that a client without attributes gets."""
    return preview(Content("s", MessageFormat.HTML, html, "en"), EXAMPLE)


def read_page(html: str) -> Any:
    """Return the parsed page, without its type, because tests know the elements that they search for."""
    return BeautifulSoup(html, "html.parser")


def find_error(work: Callable[[], object]) -> InvalidSource | None:
    """Return the error with which a source is refused; None if it is accepted."""
    try:
        work()
    except InvalidSource as error:
        return error
    return None
