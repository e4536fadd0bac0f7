"""Find how an owner appears on public pages."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select

from skymailing.delivery.composition.networks import NETWORKS, recognize_network
from skymailing.extensions import db
from skymailing.models import Brand, User


@dataclass(frozen=True, slots=True)
class PublicBrand:
    """The details of an owner that `templates/public/base.html` shows."""

    name: str
    website: str = ""
    color: str = ""
    logo_name: str = ""
    font: str = ""
    address: str = ""
    # The name of each network and the URL of the owner's page.
    links: tuple[tuple[str, str], ...] = ()


def find_brand(owner: User) -> PublicBrand:
    """Return the owner's brand; if there is none, only the name in the profile."""
    return describe_brand(owner, db.session.get(Brand, owner.id))


def describe_brand(owner: User, brand: Brand | None) -> PublicBrand:
    """Return how an owner appears with this brand; if it is None, only the name in the profile."""
    if brand is None:
        return PublicBrand(owner.sender_name)
    color = brand.button_color or brand.color
    links = tuple((_name_network(url), url) for url in brand.links.split())
    name = brand.name or owner.sender_name
    return PublicBrand(name, brand.website, color, brand.logo_name, brand.font, brand.address, links)


def _name_network(url: str) -> str:
    """Return the name of a page's network; for other pages, the host's name."""
    return NETWORKS[recognize_network(url)].name or urlsplit(url).hostname or url.removeprefix("mailto:")


def find_logo(name: str) -> bytes | None:
    """Return the content of the logo with this file name; None if no brand uses it."""
    used = Brand.logo_name == name
    return db.session.scalar(select(Brand.logo).where(used, Brand.logo_name != "").limit(1))
