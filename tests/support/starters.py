"""Letters of our templates, as they are composed for an owner."""

from skymailing.delivery.composition.composing import read_source
from skymailing.delivery.composition.palette import OwnerBrand
from skymailing.delivery.rendering.content import Content
from skymailing.messages.starters import read_starter
from skymailing.models import MessageFormat, SourceFormat

PICTURES = "https://mail.example/messages/designs/"
BRAND = OwnerBrand("The Clay Shop", "https://shop.example/")


def compose_starter(key: str, language: str, brand: OwnerBrand = BRAND, pictures: str = PICTURES) -> Content:
    """Return the content of a message that begins with this template and was not changed."""
    fields = read_starter(key, language, pictures, brand)
    body = fields["body"]
    if source_format := SourceFormat(fields["source_format"]):
        body = read_source(source_format, fields["source"]).compose(brand, language)
    return Content(fields["subject"], MessageFormat.HTML, body, language, preheader=fields["preheader"])
