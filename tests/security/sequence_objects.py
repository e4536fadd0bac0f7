"""Create a sequence, a step and an enrolment, for the tests of permissions."""

from typing import Any

from skymailing.clock import utcnow
from skymailing.models import (
    Enrolment,
    EnrolmentState,
    MailingKind,
    MailingState,
    Sequence,
    SequenceState,
    SequenceStep,
    User,
)
from tests.security.object_factories import add
from tests.support.factories import ClientFactory, MailingFactory


def make_sequence(owner: User) -> Any:
    """Create a running sequence with one step."""
    sequence = add(owner, Sequence(owner_id=owner.id, name="Welcome", state=SequenceState.ACTIVE))
    mailing = MailingFactory.create(owner=owner, kind=MailingKind.SEQUENCE.value, state=MailingState.RUNNING)
    add(owner, SequenceStep(sequence_id=sequence.id, position=0, mailing_id=mailing.id))
    return sequence


def make_step(owner: User) -> Any:
    """Create a step of a new sequence."""
    return make_sequence(owner).steps[0]


def make_place(owner: User) -> Any:
    """Create the enrolment of a client in a new sequence."""
    sequence, now = make_sequence(owner), utcnow()
    client = ClientFactory.create(owner=owner)
    values = {"entered_at": now, "due_at": now, "state": EnrolmentState.ACTIVE}
    step_id = sequence.steps[0].id
    return add(
        owner, Enrolment(sequence_id=sequence.id, client_id=client.id, step_id=step_id, entry=1, **values)
    )
