"""Schemas of the files of messages."""

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import Line, OutputSchema, StrictSchema

MAX_FILE_NAME = 500  # characters, before it is cleaned


class FileSchema(OutputSchema):
    """A file of an email."""

    name = fields.String(required=True)
    content_type = fields.String(required=True)
    size = fields.Integer(required=True, metadata={"description": "In bytes"})
    sha256 = fields.String(required=True)


class MessageFileSchema(FileSchema):
    """A file attached to a message."""

    id = fields.Integer(required=True)


class FileQuery(StrictSchema):
    """The name of the file; its extension determines the type."""

    filename = Line(
        required=True, validate=Length(1, MAX_FILE_NAME), metadata={"description": "Such as price.pdf"}
    )
