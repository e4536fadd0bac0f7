"""Schemas of reports, and of the clicks and variants of a run."""

from typing import Any

from marshmallow import Schema, fields
from marshmallow.validate import Length, Range

from skymailing.api.schemas.base import OutputSchema, PageQuery, StrictSchema, id_field
from skymailing.clients.search.matching import SEARCH_MAX_LENGTH
from skymailing.mailings.breakdowns import NUMBERS
from skymailing.models import MAX_VARIANTS, REPORTED_COUNTS, Decision, WinnerBy

FIGURES: dict[str, Any] = {name: fields.Integer(required=True) for name in REPORTED_COUNTS} | {
    "tracked": fields.Integer(
        required=True,
        metadata={"description": "Letters of mailings that count clicks: sent less returned"},
    ),
    "attempts_per_letter": fields.Float(required=True, allow_none=True),
    "median_seconds": fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Seconds from a run's start until half of the letters were sent"},
    ),
    "p95_seconds": fields.Integer(required=True, allow_none=True),
}
OF_DAY: dict[str, Any] = {"day": fields.Date(required=True), "begins_at": fields.DateTime(required=True)}
OF_MAILING: dict[str, Any] = {"id": fields.Integer(required=True), "name": fields.String(required=True)}
Figures: type[Schema] = OutputSchema.from_dict(FIGURES, name="Figures")
DayFigures: type[Schema] = OutputSchema.from_dict(OF_DAY | FIGURES, name="DayFigures")
MailingFigures: type[Schema] = OutputSchema.from_dict(OF_MAILING | FIGURES, name="MailingFigures")


class Reason(OutputSchema):
    """Failed attempts with the same reply from the mail server."""

    code = fields.Integer(required=True, allow_none=True)
    words = fields.String(required=True)
    attempts = fields.Integer(required=True)


class Revenue(OutputSchema):
    """Purchases in one currency."""

    currency = fields.String(required=True)
    orders = fields.Integer(required=True)
    revenue = fields.String(required=True, metadata={"description": "A decimal number as text"})


class MailingSales(OutputSchema):
    """What the recipients of a mailing bought."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    revenues = fields.List(fields.Nested(Revenue), required=True)


class SalesSchema(OutputSchema):
    """Purchases in the period that are credited to mailings."""

    totals = fields.List(fields.Nested(Revenue), required=True)
    mailings = fields.List(
        fields.Nested(MailingSales),
        required=True,
        metadata={"description": "The 100 mailings with the most orders"},
    )


class ReportSchema(OutputSchema):
    """The results of a period, in total, by day and by mailing; days are in `timezone`."""

    since = fields.Date(required=True)
    until = fields.Date(required=True)
    timezone = fields.String(required=True)
    begins_at = fields.DateTime(required=True)
    ends_at = fields.DateTime(required=True)
    totals = fields.Nested(Figures, required=True)
    reasons = fields.List(fields.Nested(Reason), required=True)
    days = fields.List(fields.Nested(DayFigures), required=True)
    mailings = fields.List(
        fields.Nested(MailingFigures),
        required=True,
        metadata={"description": "The 100 mailings with the most letters"},
    )
    mailing_count = fields.Integer(
        required=True, metadata={"description": "The number of all mailings, including those not listed"}
    )
    sales = fields.Nested(SalesSchema, required=True)


class ReportQuery(StrictSchema):
    """The period and the mailings of a report; by default the last 30 days."""

    since = fields.Date(metadata={"description": "The first day"})
    until = fields.Date(metadata={"description": "The last day; at most 366 days in all"})
    mailing = id_field(in_query=True, metadata={"description": "The ID of one mailing"})
    q = fields.String(
        validate=Length(1, SEARCH_MAX_LENGTH),
        metadata={"description": "List only mailings whose name contains this"},
    )


class LinkSchema(OutputSchema):
    """A link in the letters of a run, and how many times it was followed."""

    number = fields.Integer(required=True)
    url = fields.String(required=True)
    label = fields.String(required=True)
    people = fields.Integer(required=True)
    clicks = fields.Integer(required=True)
    machine_clicks = fields.Integer(
        required=True,
        metadata={"description": "Clicks by programs that check links; no other number includes them"},
    )


class RunClicksSchema(OutputSchema):
    """How many people clicked and opened the letters of a run, and its links."""

    people = fields.Integer(required=True)
    machine_clicks = fields.Integer(required=True)
    opened = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null if opens are not counted"}
    )
    links = fields.List(fields.Nested(LinkSchema), required=True)


class ClickSchema(OutputSchema):
    """A recipient who followed links of a run."""

    delivery_id = fields.Integer(required=True)
    client_id = fields.Integer(required=True, allow_none=True)
    email = fields.String(required=True)
    first_at = fields.DateTime(required=True)
    clicks = fields.Integer(required=True)


class ClickQuery(PageQuery):
    """Filters of the people who clicked."""

    link = id_field(in_query=True, metadata={"description": "The number of one link"})


GROUP: dict[str, Any] = {name: fields.Integer(required=True) for name in NUMBERS}
OTHERS = {"description": "null: all others"}
OF_DOMAIN: dict[str, Any] = {"domain": fields.String(required=True, allow_none=True, metadata=OTHERS)}
OF_PART: dict[str, Any] = {"name": fields.String(required=True)}
OF_HOUR: dict[str, Any] = {"begins_at": fields.DateTime(required=True, allow_none=True, metadata=OTHERS)}
DomainResult: type[Schema] = OutputSchema.from_dict(OF_DOMAIN | GROUP, name="DomainResult")
PartResult: type[Schema] = OutputSchema.from_dict(OF_PART | GROUP, name="PartResult")
HourResult: type[Schema] = OutputSchema.from_dict(OF_HOUR | GROUP, name="HourResult")
TOO_SLOW = "null: there are too many letters to count them within seconds"


class BreakdownSchema(OutputSchema):
    """The results of a run by domain, by segment and tag, and by hour.

    Once the run's details are removed, only hours are left.
    """

    domains = fields.List(
        fields.Nested(DomainResult),
        required=True,
        allow_none=True,
        metadata={"description": f"Domains with the most letters first; {TOO_SLOW}"},
    )
    parts = fields.List(
        fields.Nested(PartResult),
        required=True,
        allow_none=True,
        metadata={"description": f"Segments and tags of the audience, otherwise all tags; {TOO_SLOW}"},
    )
    hours = fields.List(
        fields.Nested(HourResult),
        required=True,
        metadata={"description": "Hours of the owner's time zone in which something happened"},
    )


class VariantResult(OutputSchema):
    """The sample of one variant of an A/B test."""

    number = fields.Integer(required=True, metadata={"description": "1 is variant A, the mailing as it is"})
    subject = fields.String(required=True)
    sender_name = fields.String(required=True)
    planned = fields.Integer(required=True)
    sent = fields.Integer(required=True)
    clicked = fields.Integer(required=True)


class AbTestSchema(OutputSchema):
    """The A/B test of a run."""

    ends_at = fields.DateTime(required=True, allow_none=True, metadata={"description": "null: no test"})
    winner_by = fields.String(required=True, allow_none=True, metadata={"enum": [*WinnerBy, None]})
    winner = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null until it is chosen"}
    )
    decision = fields.String(required=True, allow_none=True, metadata={"enum": [*Decision, None]})
    variants = fields.List(fields.Nested(VariantResult), required=True)


class WinnerInput(StrictSchema):
    """The number of a variant."""

    number = fields.Integer(required=True, strict=True, validate=Range(1, MAX_VARIANTS))
