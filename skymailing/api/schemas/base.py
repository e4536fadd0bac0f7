"""Fields and schemas that several resources share. Types are strict: "1" is not a number."""

import unicodedata
from datetime import UTC, datetime
from functools import cache
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields
from marshmallow.validate import Length, Range

from skymailing.api.paging import DEFAULT_LIMIT, MAX_LIMIT
from skymailing.db.engine import LARGEST_BIG_ID, LARGEST_ID


class StrictSchema(Schema):
    """Input: unknown fields are errors, so that a mistyped name is not ignored."""

    class Meta:
        unknown = RAISE


class OutputSchema(Schema):
    """Output: later versions may add fields, so programs must ignore unknown fields."""

    class Meta:
        unknown = EXCLUDE


class Flag(fields.Boolean):
    """True or false, but not "yes" or 1."""

    def _deserialize(self, value: Any, *_place: Any, **_options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryFlag(fields.Boolean):
    """True or false in a query."""

    truthy = {"true"}  # noqa: RUF012 - as in marshmallow
    falsy = {"false"}  # noqa: RUF012


class Line(fields.String):
    """One line of text, stripped of surrounding spaces."""

    default_error_messages = {"not_a_line": "Use one line without special characters."}  # noqa: RUF012

    def _deserialize(self, value: Any, *place: Any, **options: Any) -> str:
        text: str = super()._deserialize(value, *place, **options).strip()
        if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text):
            raise self.make_error("not_a_line")
        return text


class Moment(fields.AwareDateTime):
    """A time with an offset, such as 2026-12-31T09:00:00+03:00; stored and written in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **options)

    def _deserialize(self, value: Any, *place: Any, **options: Any) -> datetime:
        if not isinstance(value, str):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        try:
            return super()._deserialize(value, *place, **options).astimezone(UTC)
        except OverflowError as error:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error


class PageQuery(StrictSchema):
    """The query parameters of every list."""

    after = fields.String(validate=Length(1, 2_000), metadata={"description": "The cursor of the next page"})
    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=Range(1, MAX_LIMIT),
        metadata={"description": "How many rows a page has at most"},
    )


def id_field(*, is_big: bool = False, in_query: bool = False, **options: Any) -> fields.Integer:
    """Return a field for an ID that fits in the key's column; in a query, it is a string."""
    largest = LARGEST_BIG_ID if is_big else LARGEST_ID
    return fields.Integer(strict=not in_query, validate=Range(1, largest), **options)


def weekdays_field(description: str) -> fields.List[Any]:
    return fields.List(
        fields.Integer(strict=True, validate=Range(1, 7)),
        validate=Length(max=7),
        metadata={"description": description},
    )


@cache
def list_of(schema: type[Schema]) -> type[Schema]:
    """Return the schema of a page of a list."""
    name = schema.__name__.removesuffix("Schema")
    page: dict[str, Any] = {
        "data": fields.List(fields.Nested(schema), required=True),
        "next": fields.String(
            required=True, allow_none=True, metadata={"description": "The cursor of the next page"}
        ),
    }
    return OutputSchema.from_dict(page, name=f"{name}List")
