"""The first steps of a new user, ticked from what is there; each can be skipped, and brought back."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import exists, func, select

from skymailing.extensions import db
from skymailing.models import Client, Mailing, Message, OutboxLetter, User
from skymailing.outbox.rendering import TEST_LETTER


class Step(StrEnum):
    CLIENTS = "clients"
    MESSAGE = "message"
    MAILING = "mailing"


OWNERS = {Step.CLIENTS: Client.owner_id, Step.MESSAGE: Message.owner_id, Step.MAILING: Mailing.owner_id}


@dataclass(frozen=True, slots=True)
class Guide:
    """Which steps a user has done, which are skipped, and whether the guide is put away."""

    done: frozenset[Step]
    skipped: frozenset[Step]
    is_closed: bool
    message_id: int | None  # of the newest message, to try out
    was_tried: bool  # whether a test letter was sent

    @property
    def current(self) -> Step | None:
        """The step to take next; None when each is done or skipped."""
        return next((step for step in Step if step not in self.done | self.skipped), None)

    @property
    def is_shown(self) -> bool:
        return not self.is_closed and self.current is not None

    @property
    def can_return(self) -> bool:
        """Whether there is something to do that the user has put away."""
        return not self.is_shown and len(self.done) < len(Step)


def find_guide(user: User) -> Guide:
    """Return where the user stands."""
    owned = [exists().where(owner_id == user.id) for owner_id in OWNERS.values()]
    newest = select(func.max(Message.id)).where(Message.owner_id == user.id).scalar_subquery()
    tried = exists().where(OutboxLetter.user_id == user.id, OutboxLetter.template == TEST_LETTER)
    *there, message_id, was_tried = db.session.execute(select(*owned, newest, tried)).one()
    done = frozenset(step for step, is_there in zip(OWNERS, there, strict=True) if is_there)
    skipped = frozenset(step for step in Step if step in user.guide_skipped) - done
    return Guide(done, skipped, user.guide_closed, message_id, bool(was_tried))


def skip_step(user: User, step: Step) -> None:
    user.guide_skipped = sorted({*user.guide_skipped, step.value})


def restore_step(user: User, step: Step) -> None:
    user.guide_skipped = sorted({*user.guide_skipped} - {step.value})


def open_guide(user: User) -> None:
    """Bring the guide back, with all its steps."""
    user.guide_closed = False
    user.guide_skipped = []
