"""Define the form of a mailing, which parses the input and shows the services' errors."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cached_property
from typing import Any

from flask_babel import get_locale, lazy_pgettext
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    HiddenField,
    IntegerField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TimeField,
)
from wtforms.validators import Optional

from skymailing.mailings import audience, scheduling
from skymailing.mailings.errors import InvalidMailing, MailingError
from skymailing.mailings.form_fields import (
    DaysField,
    PartsField,
    SelectionField,
    explain_duplicates,
    list_choices,
    name_missing,
    read_choice,
)
from skymailing.mailings.selection import Selection
from skymailing.mailings.sender_choices import list_sender_choices
from skymailing.mailings.validation import NAME_MAX_LENGTH, MailingValidation
from skymailing.mailings.values import CONTENT_FIELDS, SENDER_NAME_MAX_LENGTH, MailingValues
from skymailing.mailings.variant_fields import VariantFields
from skymailing.models import (
    EVERY_DAY,
    Audience,
    Mailing,
    OnLate,
    OnPassed,
    OnUnknown,
    OpenTracking,
    Periodicity,
    RepeatUnit,
    User,
)
from skymailing.topics.queries import list_topic_choices
from skymailing.web.error_texts import explain
from skymailing.web.form_fields import LocalTimeField, strip
from skymailing.web.ids import read_id

VALUE_NAMES = [field.name for field in fields(MailingValues)]


def name_field(value_name: str) -> str:
    """Return the name of the form field for a field of MailingValues."""
    return value_name.removesuffix("_id")


class MailingForm(VariantFields, FlaskForm):
    """The mailing form: it parses the input, and shows the services' errors next to the fields."""

    # A one-time mailing that has run keeps these values: the form lacks their fields and ignores values
    # posted for them.
    FIXED = (*map(name_field, CONTENT_FIELDS), *VariantFields.VARIANT_NAMES)
    # The fields that determine the next starts.
    TIMES = (
        *("starts_at", "ends_at", "periodicity", "repeat_every", "repeat_unit", "repeat_weekdays"),
        *("repeat_on_last_day", "weekdays", "opens_at", "closes_at", "is_local_time", "on_passed"),
    )
    # Fields with a few fixed values; only a forged request contains other values.
    CHOICES = (
        *("audience", "periodicity", "repeat_unit", "on_passed", "on_late", "on_unknown", "track_opens"),
        "winner_by",
    )
    # The time when the page was opened; see duplicate_submission.py.
    opened_at = HiddenField()
    name = StringField(
        lazy_pgettext("mailing", "Name"),
        filters=[strip],
        description=_l("Visible only to you. If empty, the subject is used."),
    )
    message = SelectField(_l("Message"), coerce=read_id, validate_choice=False)
    sender = SelectField(_l("Send from"), coerce=read_id, validate_choice=False)
    sender_name = StringField(
        _l("Sender name"),
        filters=[strip],
        description=_l(
            "Clients see it as the sender. If empty, the name of the chosen address or your own is used."
        ),
    )
    topic = SelectField(
        _l("Topic"),
        coerce=read_id,
        validate_choice=False,
        description=_l("Clients who unsubscribed from the topic do not get the email."),
    )
    audience = RadioField(
        _l("Recipients"),
        choices=[
            SelectChoice(Audience.ALL.value, _l("All clients")),
            SelectChoice(Audience.SEGMENTS.value, _l("Segments and tags")),
            SelectChoice(Audience.SELECTED.value, _l("Selected clients")),
        ],
        default=Audience.ALL.value,
    )
    include = PartsField(_l("Send to"), description=_l("Clients in any of these get the email once."))
    exclude = PartsField(
        _l("Do not send to"), description=_l("Clients in any of these do not get the email.")
    )
    clients = SelectionField(_l("Clients"), default=Selection())
    starts_at = LocalTimeField(_l("Start"), description=_l("Leave empty to start right away."))
    is_local_time = BooleanField(
        _l("At this time in each client's time zone"),
        description=_l("Clients whose time zone is not known get the email at this time in your time zone."),
    )
    on_passed = SelectField(
        _l("Where this time has already passed"),
        default=OnPassed.SEND.value,
        description=_l("The next day only if the mailing does not end or repeat before then."),
    )
    ends_at = LocalTimeField(_l("End"), description=_l("Nothing is sent after this time."))
    periodicity = SelectField(_l("How often"), default=Periodicity.ONCE.value)
    repeat_every = IntegerField(lazy_pgettext("recurrence", "Every"), [Optional()], default=1)
    repeat_unit = SelectField(lazy_pgettext("recurrence", "Unit"), default=RepeatUnit.WEEK.value)
    repeat_weekdays = DaysField(
        _l("On these days"), description=_l("Select none to use the weekday of the start.")
    )
    repeat_on_last_day = BooleanField(_l("On the last day of the month"))
    weekdays = DaysField(_l("Only on these days"), description=_l("Select none to send every day."))
    opens_at = TimeField(lazy_pgettext("hours", "From"), [Optional()])
    closes_at = TimeField(
        lazy_pgettext("hours", "Until"),
        [Optional()],
        description=_l(
            "If the end is earlier than the start, sending continues past midnight. "
            "Leave both empty to send all day."
        ),
    )
    on_late = SelectField(
        _l("If a send is missed, for example because the service was down"), default=OnLate.SEND.value
    )
    on_unknown = SelectField(
        _l("Unclear emails (may have arrived)"),
        default=OnUnknown.HOLD.value,
    )

    track_clicks = BooleanField(
        _l("Count clicks"), description=_l("Links go through this service, which records who clicks them.")
    )
    track_opens = SelectField(
        _l("Opens"),
        default=OpenTracking.OFF.value,
        description=_l("An estimate: many mail programs load images in advance or not at all."),
    )

    def __init__(
        self,
        owner: User,
        messages: Sequence[tuple[int, str]],
        now: datetime,
        mailing: Mailing | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.owner = owner
        self.now = now
        self.mailing = mailing
        self.is_fixed = mailing is not None and scheduling.has_happened(mailing)
        self.has_open_run = mailing is not None and scheduling.has_open_run(mailing)
        if not self.is_submitted():
            self.opened_at.data = now.isoformat()
        self.sender.choices = [SelectChoice(*choice) for choice in list_sender_choices(owner, mailing)]
        self.topic.choices = [SelectChoice(*choice) for choice in list_topic_choices(owner.id)]
        self.periodicity.choices = list_choices(Periodicity)
        self.repeat_unit.choices = list_choices(RepeatUnit)
        self.on_unknown.choices = list_choices(OnUnknown)
        self.on_unknown.description = explain_duplicates()
        self.on_late.choices = list_choices(OnLate)
        self.on_passed.choices = list_choices(OnPassed)
        self.track_opens.choices = list_choices(OpenTracking)
        self._offer_messages(messages)
        names = get_locale().days["stand-alone"]["wide"]
        for days in (self.weekdays, self.repeat_weekdays):
            days.choices = [SelectChoice(day, names[int(day) - 1]) for day in EVERY_DAY]
        parts = [SelectChoice(name, label) for name, label in audience.list_choices(owner.id)]
        for field in (self.include, self.exclude):
            # A tag that was renamed while the form was open remains ticked, so that its error is not lost.
            missing = set(field.data or ()) - {choice.value for choice in parts}
            field.choices = [*parts, *(SelectChoice(name, name_missing(name)) for name in sorted(missing))]
        self._set_browser_checks()
        if self.is_fixed:
            for name in self.FIXED:
                delattr(self, name)

    def _set_browser_checks(self) -> None:
        """Let the browser check what it can; the services check everything."""
        self.name.flags.required = self.is_fixed
        self.ends_at.flags.required = True
        self.name.flags.maxlength = NAME_MAX_LENGTH
        self.sender_name.flags.maxlength = SENDER_NAME_MAX_LENGTH

    def read(self) -> MailingValues:
        """Return the input; if a field is unreadable, raise InvalidMailing with the other fields' errors."""
        if not super().validate():
            raise InvalidMailing(self.validation.errors)
        return self.values

    def validate(self, extra_validators: Any = None) -> bool:
        """Read the fields, apply the services' rules, and show all errors next to the fields."""
        super().validate(extra_validators)
        errors = dict(self.validation.errors)
        if "message_id" in errors and not self.name.data:
            # The name may be left empty: it is then the subject of the message that is missing.
            errors.pop("name", None)
        self.add_errors(errors)
        return not self.errors

    @cached_property
    def validation(self) -> MailingValidation:
        """The services' validation of the fields that could be read."""
        unread = {name for name in VALUE_NAMES if self.has_error(name)}
        return MailingValidation(self.owner, self.values, self.now, self.mailing, unread)

    def add_errors(self, errors: Mapping[str, MailingError]) -> None:
        """Show a service's errors next to the fields."""
        for name, error in errors.items():
            field = self[name_field(name)]
            field.errors = [*field.errors, explain(error)]

    def _offer_messages(self, messages: Sequence[tuple[int, str]]) -> None:
        offered = [SelectChoice(id, subject) for id, subject in messages]
        self.offer_variants(self.owner, offered)
        # Without an empty choice, browsers would choose the newest message.
        unchosen = [SelectChoice(0, _l("Choose a message"))] if messages and self.mailing is None else []
        self.message.choices = [*unchosen, *offered]

    def has_error(self, name: str) -> bool:
        """Return whether the field for a value has an error."""
        name = name_field(name)
        return name in self and bool(self[name].errors)

    def _find_subject(self) -> str:
        """Return the chosen message's subject, which is the mailing's name if the user enters none."""
        if self.is_fixed or not self.message.data:
            return ""
        subjects = {choice.value: str(choice.label) for choice in self.message.choices}
        return subjects.get(self.message.data, "")[:NAME_MAX_LENGTH]

    @property
    def values(self) -> MailingValues:
        """The input, as far as it could be read."""
        values = {
            "name": self.name.data or self._find_subject(),
            "ends_at": self.ends_at.data,
            "weekdays": "".join(self.weekdays.data or []),
            "opens_at": self.opens_at.data,
            "closes_at": self.closes_at.data,
            "on_unknown": read_choice(self.on_unknown, OnUnknown.HOLD),
        }
        if not self.is_fixed:
            values |= {
                "message_id": self.message.data,
                "sender_id": self.sender.data or None,
                "sender_name": self.sender_name.data or "",
                "topic_id": self.topic.data or None,
                # A program that names segments but no audience does not mean to address all clients.
                "audience": Audience.SEGMENTS
                if self.include.data and not self.audience.raw_data
                else read_choice(self.audience, Audience.ALL),
                "clients": self.clients.data or Selection(),
                "include": tuple(self.include.data or ()),
                "exclude": tuple(self.exclude.data or ()),
                "starts_at": self.starts_at.data,
                "periodicity": read_choice(self.periodicity, Periodicity.ONCE),
                "repeat_unit": read_choice(self.repeat_unit, RepeatUnit.WEEK),
                "repeat_every": 1 if self.repeat_every.data is None else self.repeat_every.data,
                "repeat_weekdays": "".join(self.repeat_weekdays.data or []),
                "repeat_on_last_day": bool(self.repeat_on_last_day.data),
                "is_local_time": bool(self.is_local_time.data),
                "on_passed": read_choice(self.on_passed, OnPassed.SEND),
                "on_late": read_choice(self.on_late, OnLate.SEND),
                "track_clicks": bool(self.track_clicks.data),
                "track_opens": read_choice(self.track_opens, OpenTracking.OFF),
                **self.read_variants(),
            }
        return MailingValues(**values)

    @property
    def has_sending_hours(self) -> bool:
        """Whether days or hours were entered, valid or not."""
        fields = (self.weekdays, self.opens_at, self.closes_at)
        return any(field.data or field.errors for field in fields)
