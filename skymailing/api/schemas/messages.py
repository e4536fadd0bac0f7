"""Schemas of messages."""

import json
from enum import StrEnum
from typing import Any

from marshmallow import fields, pre_dump
from marshmallow.validate import Length, OneOf

from skymailing.api.schemas.base import OutputSchema, StrictSchema
from skymailing.delivery.rendering.content import MAX_BODY
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.messages.forms import MAX_SUBJECT
from skymailing.models import Message, SourceFormat
from skymailing.models.message import PREHEADER_MAX_LENGTH


class Format(StrEnum):
    """The format in which an author writes the body, or the source from which its HTML is composed."""

    MARKDOWN = "markdown"
    HTML = "html"
    TEXT = "text"
    BLOCKS = "blocks"
    MJML = "mjml"


class MessageHead(OutputSchema):
    """A message without its body."""

    id = fields.Integer(required=True)
    subject = fields.String(required=True)
    format = fields.Enum(Format, by_value=True, required=True)
    language = fields.String(required=True)
    version = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)

    @pre_dump
    def describe(self, message: Message, **_options: Any) -> dict[str, Any]:
        source_format, source = message.current_source
        is_design = source_format is SourceFormat.BLOCKS
        return {
            "id": message.id,
            "subject": message.subject,
            "preheader": message.preheader,
            "format": Format(source_format or message.format),
            "language": message.language,
            "layout": message.layout_id if source_format else None,
            "version": message.version,
            "created_at": message.created_at,
            "updated_at": message.updated_at,
            "body": None if is_design else source or message.body,
            "design": json.loads(source) if is_design else None,
            "html": message.body if source_format else None,
        }


class MessageSchema(MessageHead):
    """A message."""

    preheader = fields.String(required=True)
    body = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The text as written; null in the format blocks"},
    )
    design = fields.Dict(
        required=True, allow_none=True, metadata={"description": "The blocks; null in other formats"}
    )
    html = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What was composed from blocks or MJML or with a layout; otherwise null"},
    )
    layout = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The layout's ID; null without one"}
    )


class MessageChange(StrictSchema):
    """Some values of a message; the others stay."""

    subject = fields.String(validate=Length(1, MAX_SUBJECT))
    preheader = fields.String(
        validate=Length(max=PREHEADER_MAX_LENGTH),
        metadata={"description": "Shown after the subject in lists of letters"},
    )
    format = fields.Enum(Format, by_value=True)
    body = fields.String(
        validate=Length(1, MAX_BODY),
        metadata={"description": "The text, in all formats except blocks"},
    )
    design = fields.Dict(
        keys=fields.String(),
        metadata={"description": "Settings and blocks, for the format blocks; see docs/editor.md"},
    )
    language = fields.String(
        validate=OneOf(sorted(LANGUAGES)),
        metadata={"description": "The language of the footer and the page; if missing, that of the text"},
    )
    layout = fields.Integer(
        allow_none=True,
        metadata={"description": "The ID of a layout, as in its URL; plain text has none"},
    )


class NewMessage(MessageChange):
    """A message to add, with Liquid placeholders such as {{ name }}."""

    subject = fields.String(required=True, validate=Length(1, MAX_SUBJECT))
    format = fields.Enum(Format, by_value=True, load_default=Format.MARKDOWN)
