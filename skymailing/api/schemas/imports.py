"""Schemas of imports."""

from marshmallow import fields
from marshmallow.validate import Length

from skymailing.api.schemas.base import Line, OutputSchema, QueryFlag, StrictSchema
from skymailing.clients.consents import TEXT_MAX_LENGTH
from skymailing.models import ImportState

COLUMN_MAX_LENGTH = 500


class ImportSchema(OutputSchema):
    """A file of clients, and the progress of its import."""

    id = fields.Integer(required=True)
    filename = fields.String(required=True)
    state = fields.Enum(ImportState, by_value=True, required=True)
    columns = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "What each column means, by its header"},
    )
    rows_done = fields.Integer(required=True)
    rows_total = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null until it is known"}
    )
    created = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    suppressed = fields.Integer(
        required=True, metadata={"description": "Rows of people who had opted out or bounced"}
    )
    left_out = fields.Integer(required=True, metadata={"description": "Rows of people who never confirmed"})
    error = fields.String(required=True, metadata={"description": "Why it failed, in words"})
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class ImportQuery(StrictSchema):
    """How to read the file. What is not given is detected from the file, as on the page."""

    filename = Line(
        load_default="",
        validate=Length(max=255),
        metadata={
            "description": "Shown in the list of imports; can also show which clients an export contains"
        },
    )
    encoding = fields.String(validate=Length(1, 50), metadata={"description": "Such as utf-8 or cp1251"})
    column = fields.List(
        fields.String(validate=Length(3, COLUMN_MAX_LENGTH)),
        metadata={"description": "HEADER=FIELD for one column, such as City=attribute:town; repeatable"},
    )
    tag = fields.String(
        load_default="",
        validate=Length(max=500),
        metadata={"description": "Tags for all clients of the file, separated by commas"},
    )
    suppress = QueryFlag(
        load_default=False,
        metadata={"description": "true: stop mailing these addresses instead of adding clients"},
    )
    consent = fields.String(
        load_default="",
        validate=Length(max=TEXT_MAX_LENGTH),
        metadata={"description": "How these people agreed to get mailings"},
    )


class RejectionSchema(OutputSchema):
    """A row that was not imported, and why."""

    id = fields.Integer(required=True)
    line = fields.Integer(required=True, metadata={"description": "The line of the file"})
    code = fields.String(required=True)
    detail = fields.String(required=True)
    cells = fields.List(fields.String(), required=True)
