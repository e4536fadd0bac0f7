"""Schemas of clients and tags."""

from marshmallow import fields
from marshmallow.validate import Length, OneOf

from skymailing.api.schemas.base import Moment, OutputSchema, PageQuery, StrictSchema, id_field
from skymailing.clients.search.matching import SEARCH_MAX_LENGTH
from skymailing.delivery.audience.fields import State
from skymailing.models import Origin, SuppressionReason
from skymailing.models.segment import TAG_MAX_LENGTH

MAX_BATCH = 1_000
TIMEZONE = "A name in the IANA database, such as Europe/Berlin, or an offset such as UTC+3"


class AttributeValue(fields.Raw):
    """A text, or a number or boolean, which is stored as text; null removes the attribute."""

    def _deserialize(self, value: object, *_place: object, **_options: object) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise self.make_error("invalid")

    default_error_messages = {"invalid": "Not a string, number, boolean or null."}  # noqa: RUF012


class ClientSchema(OutputSchema):
    """A client."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    full_name = fields.String(required=True)
    comment = fields.String(required=True)
    timezone = fields.String(
        required=True, metadata={"description": "Its name in the IANA database; empty if it is not known"}
    )
    tags = fields.List(fields.String(), required=True)
    attributes = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    suppressed = fields.Enum(
        SuppressionReason,
        by_value=True,
        required=True,
        allow_none=True,
        metadata={"description": "Why the client gets no mailings; null if it gets them"},
    )
    origin = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "How the client was added; null if unknown", "enum": [*Origin, None]},
    )
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class ClientChange(StrictSchema):
    """Some values of a client; the others stay."""

    email = fields.String()
    full_name = fields.String()
    comment = fields.String()
    timezone = fields.String(metadata={"description": TIMEZONE})
    tags = fields.List(
        fields.String(), metadata={"description": "All tags of the client; others are removed from it"}
    )
    attributes = fields.Dict(
        keys=fields.String(validate=Length(1, 200)),
        values=AttributeValue(allow_none=True),
        metadata={"description": "Attributes to set; null removes one, and those not named stay"},
    )


class NewClient(ClientChange):
    """A client to add."""

    email = fields.String(required=True)


class ClientUpsert(StrictSchema):
    """Values that a client gets; those that are missing or empty stay, and tags are added."""

    full_name = fields.String()
    comment = fields.String()
    timezone = fields.String(metadata={"description": TIMEZONE})
    tags = fields.List(fields.String())
    attributes = fields.Dict(
        keys=fields.String(validate=Length(1, 200)), values=AttributeValue(allow_none=True)
    )


class ClientRowSchema(ClientUpsert):
    """A row of a batch."""

    email = fields.String(required=True)


class UncheckedRow(fields.Nested):
    """A row that is checked later, with its own verdict."""

    def _deserialize(self, value: object, *_place: object, **_options: object) -> object:
        if not isinstance(value, dict):
            raise self.make_error("type", input=value, type=type(value).__name__)
        return value


class ClientBatch(StrictSchema):
    """Clients to add or update. Each is checked on its own, so one that is refused does not stop others."""

    clients = fields.List(UncheckedRow(ClientRowSchema), required=True, validate=Length(1, MAX_BATCH))


class FieldErrorSchema(OutputSchema):
    """What is wrong with one value."""

    pointer = fields.String(metadata={"description": "A JSON pointer into the body (RFC 6901)"})
    parameter = fields.String(metadata={"description": "The name of a query parameter"})
    code = fields.String(required=True)
    detail = fields.String(required=True)


class RowResult(OutputSchema):
    """What happened to a row of a batch."""

    index = fields.Integer(required=True)
    verdict = fields.String(required=True, validate=OneOf(["created", "updated", "unchanged", "refused"]))
    id = fields.Integer(allow_none=True, required=True)
    errors = fields.List(fields.Nested(FieldErrorSchema))


class BatchResult(OutputSchema):
    """The verdicts about the rows of a batch, in the order of the rows, and how many there are of each."""

    created = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    results = fields.List(fields.Nested(RowResult), required=True)


class ClientQuery(PageQuery):
    """Filters of the list of clients."""

    email = fields.String(validate=Length(1, 320), metadata={"description": "The exact address"})
    q = fields.String(
        validate=Length(1, SEARCH_MAX_LENGTH), metadata={"description": "A part of the address or the name"}
    )
    tag = fields.String(validate=Length(1, TAG_MAX_LENGTH), metadata={"description": "The name of a tag"})
    segment = id_field(in_query=True, metadata={"description": "The ID of a segment"})
    status = fields.Enum(State, by_value=True)
    updated_since = Moment(metadata={"description": "Only clients that have changed since then"})


class TagSchema(OutputSchema):
    """A tag, and how many clients have it."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    clients = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)


class TagInput(StrictSchema):
    """The name of a tag."""

    name = fields.String(required=True)
