"""The forms of mailings: what a person may ask for, and what is said when it does not work out."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import (
    Field,
    HiddenField,
    RadioField,
    SearchField,
    SelectChoice,
    SelectField,
    StringField,
    ValidationError,
)
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from skymailing.extensions import db
from skymailing.fields import LocalTimeField, PeriodForm, one_line, strip
from skymailing.mailings.selection import Selection, UnreadableSelection, count_owned
from skymailing.models import Audience, Mailing, Message, OnUnknown, Outcome, Periodicity, User
from skymailing.states import state_label


class SelectionField(Field):
    """Clients by id, one or several in each value: `7`, `7-300`, `7,9-12`."""

    def process_formdata(self, values: list[str]) -> None:
        self.data: Selection = Selection()
        try:
            self.data = Selection.parse(values)
        except UnreadableSelection as error:
            raise ValueError(_("One of the clients does not exist.")) from error


def read_id(text: Any) -> int:
    """Return a posted id, or 0, which is nobody's."""
    text = str(text)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def offer(enum: type[StrEnum]) -> list[SelectChoice]:
    """Return the choices for every member of an enum, in its words."""
    return [SelectChoice(item.value, state_label(item)) for item in enum]


class MailingForm(FlaskForm):
    """A new mailing or one that has not started yet."""

    # When the page was opened; see twins.py.
    opened_at = HiddenField()
    name = StringField(
        lazy_pgettext("mailing", "Name"), [DataRequired(), Length(max=200), one_line], filters=[strip]
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
    on_unknown = SelectField(
        _l("When it is unclear whether a letter arrived"),
        default=OnUnknown.RESEND.value,
        description=_l(
            "Rarely, the connection breaks just when the mail server takes a letter. "
            "Sending once more may then be the second copy."
        ),
    )

    def __init__(
        self, owner: User, messages: Sequence[tuple[int, str]], now: datetime, **options: Any
    ) -> None:
        super().__init__(**options)
        self.owner = owner
        self.now = now
        if not self.is_submitted():
            self.opened_at.data = now.isoformat()
        self.message.choices = [SelectChoice(id, subject) for id, subject in messages]
        self.periodicity.choices = offer(Periodicity)
        self.on_unknown.choices = offer(OnUnknown)

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
        if not field.data:
            raise ValidationError(_("Choose at least one client, or send to all of them."))
        if count_owned(self.owner, field.data) != len(field.data):
            raise ValidationError(_("One of the clients does not exist, or was deleted meanwhile."))

    def validate_ends_at(self, field: LocalTimeField) -> None:
        """Refuse a window that ends before it starts; an empty start is now."""
        if field.data is None or self.starts_at.errors:
            return
        if field.data <= (self.starts_at.data or self.now):
            raise ValidationError(
                _("The end must be after the start.")
                if self.starts_at.data
                else _("The end must be in the future, as the mailing starts at once.")
            )

    def fill(self, mailing: Mailing) -> None:
        """Write what was typed into the mailing; its clients are saved apart."""
        mailing.name = self.name.data
        mailing.message_id = self.message.data
        mailing.sender_name = self.sender_name.data or ""
        mailing.audience = Audience(self.audience.data)
        mailing.starts_at = self.starts_at.data or self.now
        assert self.ends_at.data is not None  # required
        mailing.ends_at = self.ends_at.data
        mailing.periodicity = Periodicity(self.periodicity.data)
        mailing.on_unknown = OnUnknown(self.on_unknown.data)


class LogFilterForm(PeriodForm):
    """Which attempts a log shows."""

    q = SearchField(_l("Address"), [Length(max=320)], filters=[strip])
    mailing = SelectField(_l("Mailing"), coerce=read_id, validate_choice=False, default=0)
    outcome = SelectField(_l("Outcome"), default="")

    def __init__(self, mailings: Sequence[tuple[int, str]], **options: Any) -> None:
        super().__init__(**options)
        self.mailing.choices = [(0, _("all mailings")), *((id, name) for id, name in mailings)]
        self.outcome.choices = [
            ("", _("all outcomes")),
            *((item.value, state_label(item)) for item in Outcome),
        ]
