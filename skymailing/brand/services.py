"""Save how an owner appears on public pages."""

import io
import secrets
from dataclasses import dataclass, fields
from typing import IO

from skymailing.extensions import db
from skymailing.models import Brand, User
from skymailing.web.images import decode, read_upload
from skymailing.web.picture_files import Picture

LOGO_WIDTH, LOGO_HEIGHT = 480, 160  # pixels: twice the size on the page, for high-resolution screens


@dataclass(frozen=True, slots=True)
class Logo:
    """A decoded logo, encoded again as PNG."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class BrandValues:
    """An owner's choices, already validated."""

    name: str
    website: str
    color: str
    font: str = ""
    text_color: str = ""
    link_color: str = ""
    button_color: str = ""
    background_color: str = ""
    address: str = ""
    links: str = ""


def read_logo(file: IO[bytes]) -> Logo:
    """Decode and shrink an uploaded logo; raises UserError. May take seconds, so keep no transaction open."""
    from PIL import Image  # slow to import, so commands avoid it

    with decode(read_upload(file), LOGO_WIDTH) as image:
        image.thumbnail((LOGO_WIDTH, LOGO_HEIGHT), Image.Resampling.LANCZOS)
        output = io.BytesIO()
        image.save(output, "PNG", optimize=True)
        return Logo(Picture(secrets.token_hex(16), *image.size, "png").name, output.getvalue())


def save_brand(owner: User, values: BrandValues, logo: Logo | None, *, removes_logo: bool) -> Brand:
    """Save the owner's brand; `logo` replaces the current one, None keeps it unless `removes_logo`."""
    brand = db.session.get(Brand, owner.id) or Brand(owner_id=owner.id)
    for field in fields(values):
        setattr(brand, field.name, getattr(values, field.name))
    if logo is not None:
        brand.logo_name, brand.logo = logo.name, logo.content
    elif removes_logo:
        brand.logo_name, brand.logo = "", None
    db.session.add(brand)
    db.session.flush()
    return brand
