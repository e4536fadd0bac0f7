"""The forms of mailings: what a person may ask for, and what is said when it does not work out."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from flask_babel import get_locale, lazy_pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import (
    Field,
    HiddenField,
    RadioField,
    SearchField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TimeField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput

from skymailing.extensions import db
from skymailing.mailings import scheduling
from skymailing.mailings.log_queries import Offer
from skymailing.mailings.selection import Selection, UnreadableSelection, count_owned
from skymailing.models import (
    EVERY_DAY,
    Audience,
    Mailing,
    Message,
    OnLate,
    OnUnknown,
    Outcome,
    Periodicity,
    User,
)
from skymailing.web.form_fields import LocalTimeField, PeriodForm, one_line, strip
from skymailing.web.ids import read_id
from skymailing.web.labels import state_label


class SelectionField(Field):
    """Clients by id, one or several in each value (`7`, `7-300`, `7,9-12`), or as `Selection` writes them."""

    def process_formdata(self, values: list[str]) -> None:
        self.data: Selection = Selection()
        try:
            self.data = Selection.parse(values)
        except UnreadableSelection as error:
            raise ValueError(_("One of the clients does not exist.")) from error


class DaysField(SelectMultipleField):
    """Days of the week, each a box to tick."""

    option_widget = CheckboxInput()


class IdField(HiddenField):
    """A posted id, or 0."""

    def process_formdata(self, values: list[str]) -> None:
        self.data = read_id(values[0]) if values else 0


def offer(enum: type[StrEnum]) -> list[SelectChoice]:
    """Return the choices for every member of an enum, in its words."""
    return [SelectChoice(item.value, state_label(item)) for item in enum]


class MailingForm(FlaskForm):
    """A mailing: a new one, or what can still be changed of the `present` one."""

    # Of a mailing that happens once and has run these stay; what is posted for them is not looked at.
    FIXED = ("message", "sender_name", "audience", "clients", "starts_at", "periodicity", "on_late")
    # What its starts depend on.
    TIMES = ("starts_at", "ends_at", "periodicity", "weekdays", "opens_at", "closes_at")
    # One of a few words each; what is none of them is nobody's typing.
    CHOICES = ("audience", "periodicity", "on_late", "on_unknown")
    # When the page was opened; see twins.py.
    opened_at = HiddenField()
    name = StringField(
        lazy_pgettext("mailing", "Name"),
        [DataRequired(), Length(max=200), one_line],
        filters=[strip],
        description=_l("For your own lists; clients do not see it."),
    )
    message = SelectField(_l("Message"), coerce=read_id, validate_choice=False)
    sender_name = StringField(
        _l("Sender's name"),
        [Length(max=200), one_line],
        filters=[strip],
        description=_l("What the clients see as the sender; empty means the name in your profile."),
    )
    audience = RadioField(
        _l("For whom"),
        choices=[
            SelectChoice(Audience.ALL.value, _l("All clients")),
            SelectChoice(Audience.SELECTED.value, _l("Selected clients")),
        ],
        default=Audience.ALL.value,
    )
    clients = SelectionField(_l("Clients"), default=Selection())
    starts_at = LocalTimeField(_l("Start"), [Optional()], description=_l("Empty means: at once."))
    ends_at = LocalTimeField(
        _l("End"),
        [InputRequired(_l("Say until when letters may be sent."))],
        description=_l("Nothing is sent after this time."),
    )
    periodicity = SelectField(_l("How often"), default=Periodicity.ONCE.value)
    weekdays = DaysField(
        _l("Only on these days"),
        description=_l("None ticked means every day."),
    )
    opens_at = TimeField(_l("From"), [Optional()])
    closes_at = TimeField(
        _l("Until"),
        [Optional()],
        description=_l("Hours that end before they begin go past midnight; none mean the whole day."),
    )
    on_late = SelectField(
        _l("When a start was missed, as when the service was down"), default=OnLate.SEND.value
    )
    on_unknown = SelectField(
        _l("When it is unclear whether a letter arrived"),
        default=OnUnknown.RESEND.value,
        description=_l(
            "Rarely, the connection breaks just when the mail server takes a letter. "
            "Sending once more may then be the second copy."
        ),
    )

    def __init__(
        self,
        owner: User,
        messages: Sequence[tuple[int, str]],
        now: datetime,
        present: Mailing | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.owner = owner
        self.now = now
        self.present = present
        self.is_fixed = present is not None and scheduling.is_over(present)
        self.is_under_way = present is not None and scheduling.has_open_run(present)
        if not self.is_submitted():
            self.opened_at.data = now.isoformat()
        self.message.choices = [SelectChoice(id, subject) for id, subject in messages]
        self.periodicity.choices = offer(Periodicity)
        self.on_unknown.choices = offer(OnUnknown)
        self.on_late.choices = offer(OnLate)
        names = get_locale().days["stand-alone"]["wide"]
        self.weekdays.choices = [SelectChoice(day, names[int(day) - 1]) for day in EVERY_DAY]
        if self.is_fixed:
            for name in self.FIXED:
                delattr(self, name)

    def validate_message(self, field: SelectField) -> None:
        """Refuse a message that is not the owner's as if it did not exist."""
        if not field.data:
            raise ValidationError(_("Choose a message."))
        own = select(Message.id).where(Message.id == field.data, Message.owner_id == self.owner.id)
        # Locked against being deleted until the mailing that uses it is committed.
        if db.session.scalar(own.with_for_update(read=True, key_share=True)) is None:
            raise ValidationError(_("This message does not exist. Choose another."))

    def validate_clients(self, field: SelectionField) -> None:
        """Refuse clients that are not the owner's, and a selection of nobody."""
        if self.audience.data != Audience.SELECTED.value:
            return
        by_id = Selection(field.data.ranges)
        if count_owned(self.owner, by_id) != by_id.count_ids():
            raise ValidationError(_("One of the clients does not exist, or was deleted meanwhile."))
        if not self.chosen:
            raise ValidationError(_("Choose at least one client, or send to all of them."))

    @cached_property
    def chosen(self) -> int:
        """How many clients are selected; counted once, as there may be a million."""
        return count_owned(self.owner, self.clients.data or Selection())

    def validate_ends_at(self, field: LocalTimeField) -> None:
        """Refuse a window that ends before it starts, or under a run; an empty start is now."""
        if field.data is None:
            return
        if self.is_under_way and field.data <= self.now:
            raise ValidationError(
                _("A run is under way: choose an end in the future. To stop the run, cancel the mailing.")
            )
        if self.is_fixed and self.present is not None:
            start: datetime | None = self.present.starts_at
        elif self.starts_at.errors:
            return
        else:
            start = self.starts_at.data
        if field.data <= (start or self.now):
            raise ValidationError(
                _("The end must be after the start.")
                if start
                else _("The end must be in the future, as the mailing starts at once.")
            )

    def validate_opens_at(self, _field: TimeField) -> None:
        """Refuse half a limit: a beginning without an end."""
        if self.closes_at.data is None and not self.closes_at.errors:
            raise ValidationError(_("Say both, from when and until when; or neither."))

    def validate_closes_at(self, field: TimeField) -> None:
        """Refuse half a limit, and hours that are over when they begin."""
        if self.opens_at.data is None and not self.opens_at.errors:
            raise ValidationError(_("Say both, from when and until when; or neither."))
        if field.data == self.opens_at.data:
            raise ValidationError(_("The hours end when they begin. For the whole day leave both empty."))

    @property
    def has_limits(self) -> bool:
        """Whether anything is said about days and hours, right or wrong."""
        fields = (self.weekdays, self.opens_at, self.closes_at)
        return any(field.data or field.errors for field in fields)

    def fill(self, mailing: Mailing) -> None:
        """Write what was typed into the mailing; its clients are saved apart."""
        mailing.name = self.name.data
        assert self.ends_at.data is not None  # required
        mailing.ends_at = self.ends_at.data
        self.fill_hours(mailing)
        mailing.on_unknown = OnUnknown(self.on_unknown.data)
        if not self.is_fixed:
            self._fill_what_starts(mailing)

    def fill_hours(self, mailing: Mailing) -> None:
        """Write the days and hours alone into the mailing."""
        mailing.weekdays = "".join(sorted(set(self.weekdays.data or []))) or EVERY_DAY
        mailing.opens_at, mailing.closes_at = self.opens_at.data, self.closes_at.data

    def _fill_what_starts(self, mailing: Mailing) -> None:
        mailing.message_id = self.message.data
        mailing.sender_name = self.sender_name.data or ""
        mailing.audience = Audience(self.audience.data)
        mailing.periodicity = Periodicity(self.periodicity.data)
        mailing.on_late = OnLate(self.on_late.data)
        starts_at = self.starts_at.data or self.now
        # A page shows no fractions of a second: what it brings back unchanged is the start as it was.
        if mailing.starts_at is None or mailing.starts_at.replace(microsecond=0) != starts_at.replace(
            microsecond=0
        ):
            mailing.starts_at = starts_at


class LogFilterForm(PeriodForm):
    """Which attempts a log shows."""

    q = SearchField(_l("Address"), [Length(max=320)], filters=[strip])
    mailing = SelectField(_l("Mailing"), coerce=read_id, validate_choice=False, default=0)
    run = IdField()
    outcome = SelectField(_l("Outcome"), default="")

    def __init__(self, offer: Offer, **options: Any) -> None:
        super().__init__(**options)
        self.mailing.choices = [(0, _("all mailings")), *offer.mailings]
        self.offers_all = offer.are_all
        self.outcome.choices = [
            ("", _("all outcomes")),
            *((item.value, state_label(item)) for item in Outcome),
        ]
