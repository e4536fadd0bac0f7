"""Schemas of topics, and of clients' choices about them."""

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import Flag, Line, OutputSchema, StrictSchema
from skymailing.models.topic import DESCRIPTION_MAX_LENGTH, TOPIC_MAX_LENGTH


class TopicSchema(OutputSchema):
    """A topic, and how many people have joined and left it."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    is_public = fields.Boolean(
        required=True, metadata={"description": "Whether the preference page offers it to everyone"}
    )
    is_opt_in = fields.Boolean(
        required=True, metadata={"description": "Whether only people who joined it get its mailings"}
    )
    position = fields.Integer(required=True)
    joined = fields.Integer(required=True)
    left = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class TopicChange(StrictSchema):
    """Some values of a topic; the others stay."""

    name = Line(validate=Length(1, TOPIC_MAX_LENGTH))
    description = fields.String(validate=Length(max=DESCRIPTION_MAX_LENGTH))
    is_public = Flag()
    is_opt_in = Flag()


class NewTopic(TopicChange):
    """A topic to add."""

    name = Line(required=True, validate=Length(1, TOPIC_MAX_LENGTH))


class ChoiceSchema(OutputSchema):
    """A topic, and what a client chose about it."""

    topic_id = fields.Integer(required=True)
    name = fields.String(required=True)
    is_received = fields.Boolean(
        required=True, metadata={"description": "Whether the client gets the topic's mailings"}
    )
    is_joined = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "null: the client has not chosen"}
    )
    is_by_owner = fields.Boolean(
        required=True, metadata={"description": "true: you recorded the choice; false: the client did"}
    )
    is_locked = fields.Boolean(
        required=True,
        metadata={"description": "true: the client has left the topic, so only the client can join it again"},
    )
    changed_at = fields.DateTime(required=True, allow_none=True)


class Choices(OutputSchema):
    """All topics, and what a client chose about each."""

    data = fields.List(fields.Nested(ChoiceSchema), required=True)


class ChoiceInput(StrictSchema):
    """Whether a client joins or leaves a topic."""

    is_joined = Flag(required=True)
