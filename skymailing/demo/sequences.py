"""Add a sequence that welcomes the people who sign up, with clients at different steps."""

from collections.abc import Sequence as Items
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from skymailing.delivery.sequences.timing import find_due
from skymailing.demo.history import History
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    Client,
    Enrolment,
    EnrolmentState,
    Mailing,
    MailingKind,
    MailingState,
    Message,
    RunState,
    Sequence,
    SequenceState,
    SequenceStep,
    SignupForm,
    StepLetter,
    Trigger,
    User,
    WaitUnit,
)
from skymailing.sequences.steps import NEVER, write_mailing

WAITS = (0, 3, 7)  # days, for each step


def add_sequence(history: History, form: SignupForm, clients: Items[Client], now: datetime) -> None:
    """Add a sequence whose clients have received the letters due since their sign-up.

    It is paused, so that the demo does not send its next letters.
    """
    owner = history.owner
    messages = select(Message).where(Message.owner_id == owner.id).order_by(Message.id).limit(len(WAITS))
    sequence = Sequence(owner_id=owner.id, name="Добро пожаловать в мастерскую", state=SequenceState.PAUSED)
    sequence.trigger, sequence.form_id = Trigger.FORM, form.id
    sequence.owner, sequence.created_at = owner, now - timedelta(days=60)
    db.session.add(sequence)
    db.session.flush()
    steps = [
        _add_step(sequence, owner, position, message)
        for position, message in enumerate(db.session.scalars(messages).all())
    ]
    reachable = [client for client in clients if client.email_key not in history.suppressions]
    ended = [_enrol(history, steps, client, now) for client in reachable]
    sequence.entered, sequence.done = len(ended), sum(ended)
    db.session.flush()


def _add_step(sequence: Sequence, owner: User, position: int, message: Message) -> SequenceStep:
    mailing = Mailing(
        owner_id=owner.id,
        kind=MailingKind.SEQUENCE.value,
        state=MailingState.PAUSED,
        audience=Audience.SELECTED,
        message=message,
        starts_at=sequence.created_at,
        ends_at=NEVER,
        name=sequence.name,
    )
    db.session.add(mailing)
    db.session.flush()
    step = SequenceStep(sequence_id=sequence.id, position=position, mailing_id=mailing.id)
    step.wait, step.wait_unit, step.mailing = WAITS[position], WaitUnit.DAYS, mailing
    step.at_time = time(10) if step.wait else None
    write_mailing(step, sequence)
    db.session.add(step)
    db.session.flush()
    return step


def _enrol(history: History, steps: Items[SequenceStep], client: Client, now: datetime) -> bool:
    """Add a client's enrolment and the letters due since the sign-up; return whether these were all."""
    enrolment = Enrolment(sequence_id=steps[0].sequence_id, client_id=client.id, step_id=steps[0].id)
    enrolment.entered_at, enrolment.due_at = client.created_at, client.created_at
    db.session.add(enrolment)
    db.session.flush()
    last_at = client.created_at
    for step in steps:
        due_at = find_due(step, last_at, ZoneInfo(history.owner.timezone))
        enrolment.step_id, enrolment.due_at = step.id, due_at
        if due_at > now:
            return False
        last_at = due_at
        history.add_run(step.mailing, [client], due_at, RunState.FINISHED, {})
        db.session.add(StepLetter(enrolment_id=enrolment.id, step_id=step.id))
    enrolment.state, enrolment.due_at, enrolment.ended_at = EnrolmentState.DONE, None, last_at
    return True
