"""Schemas of messages."""

from marshmallow import fields
from marshmallow.validate import Length, OneOf

from skymailing.api.schemas.base import OutputSchema, StrictSchema
from skymailing.delivery.rendering.content import MAX_BODY
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.messages.forms import MAX_SUBJECT
from skymailing.models import MessageFormat


class MessageHead(OutputSchema):
    """A message without its body."""

    id = fields.Integer(required=True)
    subject = fields.String(required=True)
    format = fields.Enum(MessageFormat, by_value=True, required=True)
    language = fields.String(required=True)
    version = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class MessageSchema(MessageHead):
    """A message."""

    body = fields.String(required=True)


class MessageChange(StrictSchema):
    """Some values of a message; the others stay."""

    subject = fields.String(validate=Length(1, MAX_SUBJECT))
    format = fields.Enum(MessageFormat, by_value=True)
    body = fields.String(validate=Length(1, MAX_BODY))
    language = fields.String(
        validate=OneOf(sorted(LANGUAGES)),
        metadata={"description": "Of the footer and the page; without it, that of the text"},
    )


class NewMessage(MessageChange):
    """A message to add, with Liquid placeholders such as {{ name }}."""

    subject = fields.String(required=True, validate=Length(1, MAX_SUBJECT))
    format = fields.Enum(MessageFormat, by_value=True, load_default=MessageFormat.MARKDOWN)
    body = fields.String(required=True, validate=Length(1, MAX_BODY))
