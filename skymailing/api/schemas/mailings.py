"""Schemas of mailings."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, Range

from skymailing.api.schemas.base import (
    Flag,
    Moment,
    OutputSchema,
    PageQuery,
    StrictSchema,
    id_field,
    weekdays_field,
)
from skymailing.mailings.audience import MAX_PARTS
from skymailing.mailings.validation import MAX_EVERY
from skymailing.mailings.values import MailingValues
from skymailing.models import (
    MAX_VARIANTS,
    Audience,
    MailingState,
    OnLate,
    OnPassed,
    OnUnknown,
    OpenTracking,
    Periodicity,
    RepeatUnit,
    WinnerBy,
)

MAX_CLIENTS = 10_000
DEFAULTS = MailingValues()
DOCUMENTED = (
    *(
        "audience",
        "is_local_time",
        "on_passed",
        "periodicity",
        "on_late",
        "on_unknown",
        "track_clicks",
        "track_opens",
    ),
    *("sample_percent", "test_hours", "winner_by"),
)
INPUT_AUDIENCES = (Audience.ALL, Audience.SELECTED, Audience.SEGMENTS)


class AudienceField(fields.String):
    """The audience of a mailing."""

    default_error_messages = {  # noqa: RUF012 - as in marshmallow
        "unknown": f"Must be one of: {', '.join(audience.value for audience in INPUT_AUDIENCES)}."
    }

    def __init__(self, **options: Any) -> None:
        metadata = {"enum": [audience.value for audience in INPUT_AUDIENCES]}
        super().__init__(metadata=metadata, **options)

    def _deserialize(self, value: Any, *place: Any, **options: Any) -> Any:
        text = super()._deserialize(value, *place, **options)
        if text not in INPUT_AUDIENCES:
            raise self.make_error("unknown")
        return Audience(text)


class VariantInput(StrictSchema):
    """What a variant of an A/B test changes; the rest is as in the mailing."""

    subject = fields.String(load_default="")
    sender_name = fields.String(load_default="")
    message_id = id_field(allow_none=True, load_default=None)


class VariantSchema(OutputSchema):
    """What a variant of an A/B test changes; where a value is empty, the mailing's value applies."""

    subject = fields.String(required=True)
    sender_name = fields.String(required=True)
    message_id = fields.Integer(required=True, allow_none=True)


class MailingChange(StrictSchema):
    """Some values of a mailing; the others stay."""

    name = fields.String()
    message_id = id_field()
    sender_id = id_field(allow_none=True, metadata={"description": "null: the service's own address"})
    sender_name = fields.String()
    topic_id = id_field(allow_none=True)
    audience = AudienceField()
    clients = fields.List(
        id_field(is_big=True),
        validate=Length(max=MAX_CLIENTS),
        metadata={"description": "IDs of clients, for the audience “selected”"},
    )
    include = fields.List(
        fields.String(),
        validate=Length(max=MAX_PARTS),
        metadata={"description": "For the audience “segments”: “segment:<id>” or “tag:<name>”"},
    )
    # marshmallow's `Schema` has an instance attribute of this name.
    exclude = fields.List(  # type: ignore[assignment]
        fields.String(),
        validate=Length(max=MAX_PARTS),
        metadata={"description": "Segments and tags to leave out; not possible for the audience “selected”"},
    )
    starts_at = Moment(allow_none=True, metadata={"description": "When sending starts; null: now"})
    ends_at = Moment(metadata={"description": "Nothing is sent after this time"})
    is_local_time = Flag(
        metadata={
            "description": "Whether clients get it when their clocks show the time that `starts_at` is "
            "in the time zone of the account"
        }
    )
    on_passed = fields.Enum(
        OnPassed,
        by_value=True,
        metadata={"description": "When clients get it whose local time has passed already"},
    )
    periodicity = fields.Enum(
        Periodicity, by_value=True, metadata={"description": "For “custom”, see the fields repeat_…"}
    )
    repeat_unit = fields.Enum(RepeatUnit, by_value=True)
    repeat_every = fields.Integer(strict=True, validate=Range(1, MAX_EVERY))
    repeat_weekdays = weekdays_field("For the unit “week”; if the list is empty, the weekday of the start")
    repeat_on_last_day = Flag(metadata={"description": "For the unit “month”"})
    weekdays = weekdays_field("Days on which letters are sent; 1 is Monday; if the list is empty, every day")
    opens_at = fields.Time(format="%H:%M", allow_none=True)
    closes_at = fields.Time(format="%H:%M", allow_none=True)
    on_late = fields.Enum(OnLate, by_value=True)
    on_unknown = fields.Enum(OnUnknown, by_value=True)
    track_clicks = Flag()
    track_opens = fields.Enum(OpenTracking, by_value=True)
    variants = fields.List(
        fields.Nested(VariantInput),
        validate=Length(max=MAX_VARIANTS - 1),
        metadata={"description": "The variants of an A/B test besides the mailing itself; empty: no test"},
    )
    sample_percent = fields.Integer(
        strict=True, metadata={"description": "How many of the clients get the variants, in equal parts"}
    )
    test_hours = fields.Integer(
        strict=True, metadata={"description": "After how many hours the winner is chosen"}
    )
    winner_by = fields.Enum(WinnerBy, by_value=True)
    draft = Flag(metadata={"description": "true: a draft remains a draft; false: it is scheduled"})


class NewMailing(MailingChange):
    """A mailing to add. Unless it is a draft, it starts at `starts_at`, or now if there is no such time."""

    name = fields.String(required=True)
    message_id = id_field(required=True)
    ends_at = Moment(required=True, metadata={"description": "Nothing is sent after this time"})
    draft = Flag(load_default=False)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Document the default of an optional value."""
        default = getattr(DEFAULTS, field_name, None)
        if default not in (None, (), "") and field_name in DOCUMENTED:
            shown = getattr(default, "value", default)
            field_obj.metadata = {**field_obj.metadata, "default": shown}


class MailingSchema(OutputSchema):
    """A mailing."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    state = fields.Enum(MailingState, by_value=True, required=True)
    state_reason = fields.String(required=True)
    is_disabled = fields.Boolean(required=True, metadata={"description": "Whether a manager has stopped it"})
    disabled_reason = fields.String(required=True)
    message_id = fields.Integer(required=True)
    sender_id = fields.Integer(required=True, allow_none=True)
    sender_name = fields.String(required=True)
    topic_id = fields.Integer(required=True, allow_none=True)
    audience = fields.String(required=True, metadata={"enum": [choice.value for choice in INPUT_AUDIENCES]})
    include = fields.List(fields.String(), required=True)
    exclude = fields.List(fields.String(), required=True)  # type: ignore[assignment]  # as above
    starts_at = fields.DateTime(required=True)
    ends_at = fields.DateTime(required=True)
    is_local_time = fields.Boolean(required=True)
    on_passed = fields.String(required=True, metadata={"enum": [choice.value for choice in OnPassed]})
    next_run_at = fields.DateTime(required=True, allow_none=True)
    periodicity = fields.Enum(Periodicity, by_value=True, required=True)
    repeat_unit = fields.Enum(RepeatUnit, by_value=True, required=True)
    repeat_every = fields.Integer(required=True)
    repeat_weekdays = fields.List(fields.Integer(), required=True)
    repeat_on_last_day = fields.Boolean(required=True)
    weekdays = fields.List(fields.Integer(), required=True)
    opens_at = fields.Time(format="%H:%M", required=True, allow_none=True)
    closes_at = fields.Time(format="%H:%M", required=True, allow_none=True)
    on_late = fields.Enum(OnLate, by_value=True, required=True)
    on_unknown = fields.Enum(OnUnknown, by_value=True, required=True)
    track_clicks = fields.Boolean(required=True)
    track_opens = fields.String(required=True)
    variants = fields.List(fields.Nested(VariantSchema), required=True)
    sample_percent = fields.Integer(required=True, metadata={"description": "0: no A/B test"})
    test_hours = fields.Integer(required=True)
    winner_by = fields.String(required=True, metadata={"enum": [criterion.value for criterion in WinnerBy]})
    test = fields.Boolean(
        required=True,
        metadata={
            "description": "Whether it was added with a test key; its letters are stored instead of sent"
        },
    )
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class MailingClientSchema(OutputSchema):
    """A client who is selected for a mailing."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)


class MailingQuery(PageQuery):
    """Filters of the list of mailings."""

    state = fields.Enum(MailingState, by_value=True)
    q = fields.String(validate=Length(1, 200), metadata={"description": "A part of the name"})
