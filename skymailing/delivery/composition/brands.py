"""Load the parts of an owner's brand that letters use."""

from typing import Any

from sqlalchemy.orm import Session, scoped_session

from skymailing.delivery.composition.fonts import FONTS
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.models import Brand, User
from skymailing.web.urls import public_url


def find_owner_brand(session: Session | scoped_session[Any], owner: User) -> OwnerBrand:
    """Return the brand of letters; without one, only the name in the owner's profile."""
    brand = session.get(Brand, owner.id)
    if brand is None:
        return OwnerBrand(owner.sender_name)
    logo_url = public_url("brand.logo", name=brand.logo_name) if brand.logo_name else ""
    return OwnerBrand(
        brand.name or owner.sender_name,
        brand.website,
        brand.color,
        logo_url,
        font=brand.font if brand.font in FONTS else "",
        text=brand.text_color,
        link=brand.link_color,
        button=brand.button_color,
        background=brand.background_color,
        address=brand.address,
        links=tuple(brand.links.split()),
    )
