"""The values of sequences and steps, and the rules that they must meet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from sqlalchemy import select

from skymailing.delivery.audience.conditions import read_conditions, write_conditions
from skymailing.delivery.audience.segments import check_references
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.delivery.senders import is_usable
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    EVERY_DAY,
    Message,
    OnLate,
    Segment,
    Sender,
    Sequence,
    SignupForm,
    Tag,
    Topic,
    Trigger,
    User,
    WaitUnit,
)
from skymailing.models.sequence import SEQUENCE_NAME_MAX_LENGTH

MAX_WAIT = {WaitUnit.MINUTES: 60 * 24, WaitUnit.HOURS: 24 * 30, WaitUnit.DAYS: 3650}
MAX_OFFSET = 365
Conditions = Mapping[str, Any]


class SequenceError(UserError):
    """A sequence, a step or an enrolment cannot be changed; `field` is the form field at fault."""

    def __init__(self, code: str, field: str = "", **values: object) -> None:
        super().__init__(code, **values)
        self.field = field


@dataclass(frozen=True, slots=True)
class StepValues:
    """The choices for a step."""

    message_id: int
    wait: int = 0
    wait_unit: WaitUnit = WaitUnit.DAYS
    at_time: time | None = None
    conditions: Conditions | None = None


@dataclass(frozen=True, slots=True)
class SequenceValues:
    """The choices for a sequence."""

    name: str
    trigger: Trigger = Trigger.MANUAL
    form_id: int | None = None
    tag_id: int | None = None
    joined_topic_id: int | None = None
    segment_id: int | None = None
    date_key: str = ""
    date_offset: int = 0
    is_yearly: bool = True
    reenter_days: int | None = None
    exit_conditions: Conditions | None = None
    on_late: OnLate = OnLate.SEND
    weekdays: str = EVERY_DAY
    opens_at: time | None = None
    closes_at: time | None = None
    sender_id: int | None = None
    topic_id: int | None = None
    track_clicks: bool = False


# The column and the model of the object that a trigger refers to.
TARGETS: dict[Trigger, tuple[str, Any]] = {
    Trigger.FORM: ("form_id", SignupForm),
    Trigger.TAG: ("tag_id", Tag),
    Trigger.TOPIC: ("joined_topic_id", Topic),
    Trigger.SEGMENT: ("segment_id", Segment),
}


def write_values(sequence: Sequence, values: SequenceValues, owner: User, now: datetime) -> None:
    """Copy the values to a sequence; raises SequenceError and InvalidConditions."""
    name = " ".join(values.name.split())[:SEQUENCE_NAME_MAX_LENGTH]
    if not name:
        raise SequenceError("sequence_nameless", "name")
    if abs(values.date_offset) > MAX_OFFSET:
        raise SequenceError("sequence_offset_invalid", "date_offset", limit=MAX_OFFSET)
    if values.reenter_days is not None and not 1 <= values.reenter_days <= MAX_WAIT[WaitUnit.DAYS]:
        raise SequenceError("sequence_reentry_invalid", "reenter_days")
    if (values.opens_at is None) != (values.closes_at is None) or (
        values.opens_at is not None and values.opens_at == values.closes_at
    ):
        raise SequenceError("sequence_hours_invalid", "opens_at")
    sequence.name, sequence.trigger = name, values.trigger
    for trigger, (column, model) in TARGETS.items():
        chosen = getattr(values, column) if trigger is values.trigger else None
        setattr(sequence, column, require_own(model, chosen, owner, column) if chosen else None)
    sequence.date_key = values.date_key.strip() if values.trigger is Trigger.DATE else ""
    sequence.date_offset, sequence.is_yearly = values.date_offset, values.is_yearly
    sequence.reenter_days, sequence.on_late = values.reenter_days, values.on_late
    sequence.exit_conditions = clean_conditions(values.exit_conditions, owner, now)
    sequence.weekdays = "".join(sorted(set(values.weekdays))) or EVERY_DAY
    sequence.opens_at, sequence.closes_at = values.opens_at, values.closes_at
    sequence.sender_id = require_sender(values.sender_id, owner)
    sequence.topic_id = require_own(Topic, values.topic_id, owner, "topic_id") if values.topic_id else None
    sequence.track_clicks = values.track_clicks


def require_own(model: Any, id: int, owner: User, field: str) -> int:
    """Return the ID if the owner has such an object; raises SequenceError otherwise.

    It is locked, so that it cannot be deleted before it is used.
    """
    own = select(model.id).where(model.id == id, model.owner_id == owner.id)
    if db.session.scalar(own.with_for_update(read=True, key_share=True)) is None:
        raise SequenceError("sequence_target_missing", field)
    return id


def require_sender(sender_id: int | None, owner: User) -> int | None:
    """Return the ID of a sender if letters may come from it; raises SequenceError otherwise."""
    if sender_id is None:
        return None
    sender = db.session.get(Sender, require_own(Sender, sender_id, owner, "sender_id"))
    if sender is None or not is_usable(sender):
        raise SequenceError("mailing_sender_unconfirmed", "sender_id")
    return sender_id


def clean_conditions(conditions: Conditions | None, owner: User, now: datetime) -> dict[str, Any] | None:
    """Return conditions as they are stored; raises InvalidConditions if they cannot be evaluated."""
    if not conditions:
        return None
    viewpoint = Viewpoint.of(owner, now)
    node = read_conditions(dict(conditions), viewpoint.formats.types)
    check_references(node, viewpoint)
    return write_conditions(node)


def check_step(values: StepValues, owner: User) -> None:
    """Raise SequenceError unless the values of a step are valid; its conditions are checked when saved."""
    if not 0 <= values.wait <= MAX_WAIT[values.wait_unit]:
        raise SequenceError("sequence_wait_invalid", "wait", limit=MAX_WAIT[values.wait_unit])
    require_own(Message, values.message_id, owner, "message_id")


def is_complete(sequence: Sequence) -> bool:
    """Return whether the object of the trigger has been chosen, and has not been deleted."""
    if sequence.trigger is Trigger.DATE:
        return bool(sequence.date_key)
    if sequence.trigger in TARGETS:
        return getattr(sequence, TARGETS[sequence.trigger][0]) is not None
    return True
