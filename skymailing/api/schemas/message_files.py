"""Schemas of the files of messages."""

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import Line, OutputSchema, StrictSchema


class MessageFileSchema(OutputSchema):
    """A file attached to a message."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    content_type = fields.String(required=True)
    size = fields.Integer(required=True, metadata={"description": "In bytes"})
    sha256 = fields.String(required=True)


class FileQuery(StrictSchema):
    """The name of the file; its extension determines the type."""

    filename = Line(required=True, validate=Length(1, 500), metadata={"description": "Such as price.pdf"})
