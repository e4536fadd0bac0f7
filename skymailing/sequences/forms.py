"""The forms of sequences and their steps."""

from collections.abc import Mapping
from typing import Any

from flask_babel import get_locale, lazy_pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, SelectField, StringField, TimeField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from skymailing.mailings.form_fields import DaysField
from skymailing.mailings.sender_choices import list_sender_choices
from skymailing.models import (
    EVERY_DAY,
    OnLate,
    Segment,
    Sequence,
    SequenceStep,
    SignupForm,
    Tag,
    Topic,
    Trigger,
    User,
    WaitUnit,
)
from skymailing.models.sequence import SEQUENCE_NAME_MAX_LENGTH
from skymailing.sequences.conditions import KEEP, list_condition_choices, read_choice
from skymailing.sequences.queries import list_date_keys, list_messages, list_names
from skymailing.sequences.values import MAX_OFFSET, TARGETS, SequenceValues, StepValues, is_complete
from skymailing.web.form_fields import one_line, strip
from skymailing.web.subjects import readable_subject

BEFORE, AFTER = "before", "after"
Choices = Mapping[Any, list[SelectChoice]]


def list_starts(owner: User, sequence: Sequence | None) -> dict[Any, list[SelectChoice]]:
    """Return the possible triggers of a sequence, in groups."""
    starts: dict[Any, list[SelectChoice]] = {
        _("By hand"): [SelectChoice(Trigger.MANUAL.value, _("I add clients myself"))]
    }
    # A closed list shows only the selected choice, so each choice includes its kind.
    groups = (
        (Trigger.FORM, _("A client confirms their sign-up"), _l("Form: %(name)s"), SignupForm),
        (Trigger.TAG, _("A client gets the tag"), _l("Tag: %(name)s"), Tag),
        (Trigger.TOPIC, _("A client subscribes to the topic"), _l("Topic: %(name)s"), Topic),
        (Trigger.SEGMENT, _("A client enters the segment"), _l("Segment: %(name)s"), Segment),
    )
    for trigger, label, text, model in groups:
        if names := list_names(model, owner.id):
            starts[label] = [
                SelectChoice(f"{trigger.value}:{id}", str(text) % {"name": name}) for id, name in names
            ]
    dates, others = list_date_keys(owner, sequence.date_key if sequence else "")
    for label, keys in ((_("A date in the client's data"), dates), (_("Another field with a date"), others)):
        if keys:
            starts[label] = [
                SelectChoice(f"{Trigger.DATE.value}:{key}", _("Date: %(name)s", name=key)) for key in keys
            ]
    return starts


def suggest_start(starts: Choices, trigger: Trigger) -> str:
    """Return the choice for a trigger if there is only one.

    By hand if there is none; empty if the user has to choose, which includes every segment.
    """
    last = _("Another field with a date")
    values = [str(choice.value) for label, group in starts.items() if label != last for choice in group]
    found = [value for value in values if value.partition(":")[0] == trigger.value]
    if not found:
        return Trigger.MANUAL.value
    return found[0] if len(found) == 1 and trigger is not Trigger.SEGMENT else ""


class SequenceForm(FlaskForm):
    """The settings of a sequence."""

    name = StringField(
        lazy_pgettext("sequence", "Name"),
        [DataRequired(_l("Enter a name.")), Length(max=SEQUENCE_NAME_MAX_LENGTH), one_line],
        filters=[strip],
        description=_l("Visible only to you."),
    )
    start = SelectField(
        _l("What starts it"),
        [DataRequired(_l("Choose what starts the sequence."))],
        description=_l("You can always add clients yourself as well."),
    )
    offset = IntegerField(
        _l("Days"),
        [Optional(), NumberRange(0, MAX_OFFSET)],
        description=_l("For a date: how many days before or after it the sequence starts."),
    )
    direction = SelectField(
        _l("Before or after the date"),
        choices=[SelectChoice(BEFORE, _l("before the date")), SelectChoice(AFTER, _l("after the date"))],
        default=AFTER,
    )
    is_yearly = BooleanField(_l("Every year"), description=_l("For a date, such as a birthday."))
    reenter_days = IntegerField(
        _l("Clients can start again after this many days"),
        [Optional(), NumberRange(1, 3650)],
        description=_l("Leave empty if everyone gets the sequence only once."),
    )
    exit = SelectField(_l("Clients leave the sequence if"), description=_l("Checked before each email."))
    on_late = SelectField(
        _l("Emails that are more than a day late"),
        choices=[
            SelectChoice(OnLate.SEND.value, _l("send anyway")),
            SelectChoice(OnLate.SKIP.value, _l("skip")),
        ],
        default=OnLate.SEND.value,
        description=_l("For example, after you paused the sequence. No one gets several at once."),
    )
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
    sender = SelectField(_l("Sender"), coerce=int)
    topic = SelectField(
        _l("Topic"), coerce=int, description=_l("Clients who unsubscribed from it do not get these emails.")
    )
    track_clicks = BooleanField(_l("Count clicks on links"))

    def offer(self, owner: User, sequence: Sequence | None) -> "SequenceForm":
        """Set the choices."""
        starts = list_starts(owner, sequence)
        if sequence is None or not is_complete(sequence):
            starts = {"": [SelectChoice("", _("– choose –"))], **starts}
        self.start.choices = starts
        self.exit.choices = list_condition_choices(
            owner, _("– never –"), sequence.exit_conditions if sequence else None
        )
        names = get_locale().days["stand-alone"]["wide"]
        self.weekdays.choices = [SelectChoice(day, names[int(day) - 1]) for day in EVERY_DAY]
        self.sender.choices = list_sender_choices(owner, None)
        topics = [SelectChoice(id, name) for id, name in list_names(Topic, owner.id)]
        self.topic.choices = [SelectChoice(0, _("No topic")), *topics]
        return self

    def read_values(self, owner: User, sequence: Sequence | None) -> SequenceValues:
        """Return the validated input."""
        kind, _colon, target = self.start.data.partition(":")
        trigger = Trigger(kind)
        offset = self.offset.data or 0
        chosen: dict[str, Any] = {TARGETS[trigger][0]: int(target)} if trigger in TARGETS else {}
        conditions = sequence.exit_conditions if sequence else None
        return SequenceValues(
            name=self.name.data or "",
            trigger=trigger,
            date_key=target if trigger is Trigger.DATE else "",
            date_offset=-offset if self.direction.data == BEFORE else offset,
            is_yearly=bool(self.is_yearly.data),
            reenter_days=self.reenter_days.data,
            exit_conditions=read_choice(owner.id, self.exit.data, conditions),
            on_late=OnLate(self.on_late.data),
            weekdays="".join(self.weekdays.data or []),
            opens_at=self.opens_at.data,
            closes_at=self.closes_at.data,
            sender_id=self.sender.data or None,
            topic_id=self.topic.data or None,
            track_clicks=bool(self.track_clicks.data),
            **chosen,
        )


def describe_sequence(sequence: Sequence) -> dict[str, Any]:
    """Return the values of a sequence as its form shows them."""
    target = ""
    if sequence.trigger is Trigger.DATE:
        target = f":{sequence.date_key}"
    elif sequence.trigger in TARGETS:
        target = f":{getattr(sequence, TARGETS[sequence.trigger][0])}"
    copied = ("name", "is_yearly", "reenter_days", "opens_at", "closes_at", "track_clicks")
    return {name: getattr(sequence, name) for name in copied} | {
        "start": sequence.trigger.value + target if is_complete(sequence) else "",
        "offset": abs(sequence.date_offset),
        "direction": BEFORE if sequence.date_offset < 0 else AFTER,
        "exit": KEEP if sequence.exit_conditions else "",
        "on_late": sequence.on_late.value,
        "weekdays": [] if sequence.weekdays == EVERY_DAY else list(sequence.weekdays),
        "sender": sequence.sender_id or 0,
        "topic": sequence.topic_id or 0,
    }


class StepForm(FlaskForm):
    """A letter of a sequence."""

    message = SelectField(_l("Message"), coerce=int)
    wait = IntegerField(
        _l("Wait"), [InputRequired(_l("Enter a number.")), NumberRange(0, 100_000)], default=0
    )
    wait_unit = SelectField(
        _l("Unit"),
        choices=[
            SelectChoice(WaitUnit.MINUTES.value, lazy_pgettext("unit", "minutes")),
            SelectChoice(WaitUnit.HOURS.value, lazy_pgettext("unit", "hours")),
            SelectChoice(WaitUnit.DAYS.value, lazy_pgettext("unit", "days")),
        ],
        default=WaitUnit.DAYS.value,
    )
    at_time = TimeField(
        _l("At this time"), [Optional()], description=_l("In your time zone. Leave empty for any time.")
    )
    condition = SelectField(
        _l("Only if"), description=_l("Other clients go on to the next email without this one.")
    )

    def offer(self, owner: User, step: SequenceStep | None) -> "StepForm":
        """Set the choices."""
        self.message.choices = [
            SelectChoice(id, readable_subject(text)) for id, text in list_messages(owner.id)
        ]
        self.condition.choices = list_condition_choices(
            owner, _("– always –"), step.conditions if step else None
        )
        return self

    def read_values(self, owner: User, step: SequenceStep | None) -> StepValues:
        """Return the validated input."""
        return StepValues(
            message_id=self.message.data,
            wait=self.wait.data or 0,
            wait_unit=WaitUnit(self.wait_unit.data),
            at_time=self.at_time.data,
            conditions=read_choice(owner.id, self.condition.data, step.conditions if step else None),
        )


def describe_step(step: SequenceStep) -> dict[str, Any]:
    """Return the values of a step as its form shows them."""
    return {
        "message": step.mailing.message_id,
        "wait": step.wait,
        "wait_unit": step.wait_unit.value,
        "at_time": step.at_time,
        "condition": KEEP if step.conditions else "",
    }
