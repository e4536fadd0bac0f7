"""Schemas of transactional letters."""

from marshmallow import fields
from marshmallow.validate import Length, OneOf

from skymailing.api.schemas.base import OutputSchema, PageQuery, StrictSchema, id_field
from skymailing.api.schemas.message_files import MAX_FILE_NAME, FileSchema
from skymailing.api.schemas.runs import AttemptSchema
from skymailing.delivery.rendering.content import MAX_BODY
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.messages.forms import MAX_SUBJECT
from skymailing.models import DeliveryState, MessageFormat, SuppressionReason

MAX_REFERENCE = 255


class NewAttachment(StrictSchema):
    """A file to attach."""

    name = fields.String(
        required=True, validate=Length(1, MAX_FILE_NAME), metadata={"description": "Such as invoice.pdf"}
    )
    content = fields.String(
        required=True,
        validate=Length(min=1),
        metadata={"description": "The file's content in base64", "contentEncoding": "base64"},
    )


class NewLetter(StrictSchema):
    """An email to one person: a message, or a subject and a body, and the values for its placeholders."""

    to = fields.String(required=True, validate=Length(1, 320))
    name = fields.String(
        validate=Length(max=200),
        load_default="",
        metadata={"description": "The recipient's name; {{ name }} prints it"},
    )
    message_id = id_field()
    subject = fields.String(validate=Length(1, MAX_SUBJECT))
    body = fields.String(validate=Length(1, MAX_BODY))
    format = fields.Enum(MessageFormat, by_value=True)
    language = fields.String(validate=OneOf(sorted(LANGUAGES)))
    values = fields.Dict(
        keys=fields.String(validate=Length(1, 200)),
        load_default=dict,
        metadata={"description": "Values for the placeholders: {{ order.total }} prints values.order.total"},
    )
    reference = fields.String(
        validate=Length(max=MAX_REFERENCE),
        load_default="",
        metadata={"description": "Your own name for the email, to find it by"},
    )
    attachments = fields.List(
        fields.Nested(NewAttachment),
        load_default=list,
        metadata={"description": "Files; those of the message are attached before them"},
    )
    sender_id = id_field(
        allow_none=True,
        metadata={"description": "Without it, your default sender; null for the service's own address"},
    )


class LetterSchema(OutputSchema):
    """A transactional email.

    `suppressed` means that it is not sent because the address bounced, complained or was blocked by you.
    """

    id = fields.Integer(required=True)
    state = fields.Enum(DeliveryState, by_value=True, required=True)
    to = fields.String(required=True)
    name = fields.String(required=True)
    reference = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    due_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "When a deferred email is tried again"}
    )
    finished_at = fields.DateTime(required=True, allow_none=True)
    test = fields.Boolean(
        required=True,
        metadata={
            "description": "Whether it was added with a test key; such an email is stored instead of sent"
        },
    )


class LetterDetails(LetterSchema):
    """A transactional email, with all attempts to send it."""

    attachments = fields.List(fields.Nested(FileSchema), required=True)
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)
    suppressed_reason = fields.Enum(
        SuppressionReason,
        by_value=True,
        required=True,
        allow_none=True,
        metadata={
            "description": "Why a suppressed email is not sent; null if the address is no longer suppressed"
        },
    )


class CaughtLetterSchema(OutputSchema):
    """An email added with a test key, which was not sent."""

    id = fields.Integer(required=True)
    delivery_id = fields.Integer(required=True)
    email = fields.String(required=True)
    subject = fields.String(required=True)
    caught_at = fields.DateTime(required=True)


class CaughtLetterDetails(CaughtLetterSchema):
    """An email added with a test key, as its recipient would have received it."""

    source = fields.String(
        required=True, metadata={"description": "The email with its headers, up to 200,000 bytes"}
    )


class CaughtLetterQuery(PageQuery):
    """Filters of emails added with test keys."""

    email = fields.String(validate=Length(1, 320), metadata={"description": "The recipient's address"})
    delivery_id = id_field(
        in_query=True, metadata={"description": "The ID of a letter, or of a delivery of a mailing"}
    )


class LetterQuery(PageQuery):
    """Filters of transactional emails."""

    reference = fields.String(validate=Length(1, MAX_REFERENCE))
    state = fields.Enum(DeliveryState, by_value=True)
