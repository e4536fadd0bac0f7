"""Compose letters from our templates, as an owner would."""

from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.content import Content
from skymailing.messages.starters import read_starter
from skymailing.models import MessageFormat, SourceFormat

PICTURES = "https://mail.example/messages/designs/"
BRAND = OwnerBrand("The Clay Shop", "https://shop.example/")


def compose_starter(key: str, language: str, brand: OwnerBrand = BRAND, pictures: str = PICTURES) -> Content:
    """Return the content of an unchanged message that was created from this template."""
    fields = read_starter(key, language, pictures, brand)
    body = fields["body"]
    if source_format := SourceFormat(fields["source_format"]):
        body = read_source(source_format, fields["source"]).compose(brand, language)
    return Content(fields["subject"], MessageFormat.HTML, body, language, preheader=fields["preheader"])
