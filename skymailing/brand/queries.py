"""Find how an owner appears on public pages."""

from dataclasses import dataclass

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Brand, User


@dataclass(frozen=True, slots=True)
class PublicBrand:
    """The details of an owner that `templates/public/base.html` shows."""

    name: str
    website: str = ""
    color: str = ""
    logo_name: str = ""


def find_brand(owner: User) -> PublicBrand:
    """Return the owner's brand; if there is none, only the name in the profile."""
    return describe_brand(owner, db.session.get(Brand, owner.id))


def describe_brand(owner: User, brand: Brand | None) -> PublicBrand:
    """Return how an owner appears with this brand; if it is None, only the name in the profile."""
    if brand is None:
        return PublicBrand(owner.sender_name)
    return PublicBrand(brand.name or owner.sender_name, brand.website, brand.color, brand.logo_name)


def find_logo(name: str) -> bytes | None:
    """Return the content of the logo with this file name; None if no brand uses it."""
    used = Brand.logo_name == name
    return db.session.scalar(select(Brand.logo).where(used, Brand.logo_name != "").limit(1))
