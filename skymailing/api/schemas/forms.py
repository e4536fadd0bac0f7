"""Schemas of sign-up forms and sign-ups."""

from marshmallow import fields
from marshmallow.validate import OneOf

from skymailing.api.schemas.base import OutputSchema, PageQuery, QueryFlag

IF_EMPTY = "If it is empty, the form shows the default text in its language"


class FormHead(OutputSchema):
    """A sign-up form, and how many people requested and confirmed a subscription through it."""

    id = fields.Integer(required=True)
    uuid = fields.String(required=True, metadata={"description": "Identifies the form in segment conditions"})
    name = fields.String(required=True)
    is_open = fields.Boolean(required=True)
    language = fields.String(required=True)
    url = fields.String(required=True, metadata={"description": "The address of its public page"})
    sender_id = fields.Integer(required=True, allow_none=True)
    requested = fields.Integer(required=True)
    confirmed = fields.Integer(required=True)
    recently_requested = fields.Integer(required=True, metadata={"description": "In the last 30 days"})
    recently_confirmed = fields.Integer(required=True, metadata={"description": "In the last 30 days"})
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class FormFieldSchema(OutputSchema):
    """What a form asks for besides the address."""

    key = fields.String(required=True)
    label = fields.String(required=True)
    is_required = fields.Boolean(required=True)


class FormSchema(FormHead):
    """A sign-up form with its texts and its code for websites."""

    title = fields.String(required=True, metadata={"description": IF_EMPTY})
    introduction = fields.String(required=True)
    button = fields.String(required=True, metadata={"description": IF_EMPTY})
    consent_text = fields.String(required=True)
    thanks_text = fields.String(required=True, metadata={"description": IF_EMPTY})
    thanks_url = fields.String(required=True)
    # Not named `fields`: marshmallow's `Schema` has an instance attribute of that name.
    form_fields = fields.List(fields.Nested(FormFieldSchema), required=True, data_key="fields")
    tags = fields.List(fields.String(), required=True)
    topic_ids = fields.List(fields.Integer(), required=True)
    waiting = fields.Integer(
        required=True,
        metadata={
            "description": "People who confirmed after the client limit was reached; they become clients "
            "when there is room"
        },
    )
    snippet = fields.String(required=True, metadata={"description": "HTML for a website"})


class SignupSchema(OutputSchema):
    """A person's request to subscribe. Until it is confirmed, the person is not a client."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    values = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "What the person entered; the keys are those of the form's fields"},
    )
    state = fields.String(
        required=True,
        validate=OneOf(("pending", "confirmed")),
        metadata={"description": "Pending: no one has confirmed that the address is theirs"},
    )
    requests = fields.Integer(
        required=True, metadata={"description": "How many times the person submitted the form"}
    )
    requested_at = fields.DateTime(required=True)
    confirmed_at = fields.DateTime(required=True, allow_none=True)
    is_waiting = fields.Boolean(
        required=True, metadata={"description": "Confirmed, but the client limit has been reached"}
    )
    expires_at = fields.DateTime(required=True, metadata={"description": "When the request is deleted"})


class SignupQuery(PageQuery):
    """Filters of a form's sign-ups."""

    confirmed = QueryFlag(metadata={"description": "true: only confirmed sign-ups; false: only pending ones"})
