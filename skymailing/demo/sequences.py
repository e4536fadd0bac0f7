"""Add a sequence that welcomes the people who sign up, with clients on the way."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from skymailing.delivery.sequences.timing import find_due
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Enrolment,
    EnrolmentState,
    Mailing,
    MailingKind,
    MailingState,
    Message,
    Sequence,
    SequenceState,
    SequenceStep,
    SignupForm,
    Trigger,
    User,
    WaitUnit,
)
from skymailing.sequences.steps import NEVER, write_mailing

# For each step: how many days clients wait for it, and how many wait for it now.
STEPS = ((0, 0), (3, 6), (7, 9))
DONE = 20


def add_sequence(owner: User, now: datetime) -> None:
    """Add the sequence to the demo account; nothing of it is due for a year."""
    form = db.session.scalar(select(SignupForm).where(SignupForm.owner_id == owner.id).limit(1))
    messages = db.session.scalars(
        select(Message).where(Message.owner_id == owner.id).order_by(Message.id).limit(len(STEPS))
    ).all()
    sequence = Sequence(owner_id=owner.id, name="Добро пожаловать в мастерскую", state=SequenceState.ACTIVE)
    sequence.trigger, sequence.form_id = Trigger.FORM, form.id if form else None
    sequence.owner, sequence.created_at = owner, now - timedelta(days=60)
    db.session.add(sequence)
    db.session.flush()
    clients = iter(
        db.session.scalars(select(Client.id).where(Client.owner_id == owner.id).order_by(Client.id).limit(60))
    )
    for position, ((days, waiting), message) in enumerate(zip(STEPS, messages, strict=False)):
        mailing = Mailing(
            owner_id=owner.id,
            kind=MailingKind.SEQUENCE.value,
            state=MailingState.RUNNING,
            message_id=message.id,
            starts_at=sequence.created_at,
            ends_at=NEVER,
            name=sequence.name,
        )
        db.session.add(mailing)
        db.session.flush()
        step = SequenceStep(sequence_id=sequence.id, position=position, mailing_id=mailing.id)
        step.wait, step.wait_unit, step.mailing = days, WaitUnit.DAYS, mailing
        step.at_time = time(10) if days else None
        write_mailing(step, sequence)
        db.session.add(step)
        db.session.flush()
        for _number in range(waiting):
            due_at = find_due(step, now + timedelta(days=365), ZoneInfo(owner.timezone))
            _add(sequence, next(clients), step.id, now, due_at=due_at)
    for _number in range(DONE):
        _add(sequence, next(clients), step.id, now)
    sequence.entered, sequence.done = DONE + sum(waiting for _days, waiting in STEPS), DONE
    db.session.flush()


def _add(
    sequence: Sequence, client_id: int, step_id: int, now: datetime, due_at: datetime | None = None
) -> None:
    enrolment = Enrolment(sequence_id=sequence.id, client_id=client_id, step_id=step_id, due_at=due_at)
    enrolment.state = EnrolmentState.ACTIVE if due_at else EnrolmentState.DONE
    enrolment.entered_at = now - timedelta(days=20)
    enrolment.ended_at = None if due_at else now - timedelta(days=5)
    db.session.add(enrolment)
