"""Guide new users in three steps; each is done as soon as its object exists, and can be skipped."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import exists, func, select

from skymailing.clients.services import ClientValues, create_client
from skymailing.delivery.rendering.mime import clean_line
from skymailing.extensions import db
from skymailing.models import Client, Mailing, MailingKind, Message, OutboxLetter, User
from skymailing.outbox.services import TEST_LETTER

MAX_NAME = 200  # characters, as in the profile


class Step(StrEnum):
    """A step of the guide, named after the object that it creates."""

    CLIENTS = "clients"
    MESSAGE = "message"
    MAILING = "mailing"


OWNER_COLUMNS = {
    Step.CLIENTS: Client.owner_id,
    Step.MESSAGE: Message.owner_id,
    Step.MAILING: Mailing.owner_id,
}


@dataclass(frozen=True, slots=True)
class Guide:
    """The steps that a user has done or skipped, and whether the guide is hidden."""

    done: frozenset[Step]
    skipped: frozenset[Step]
    is_closed: bool
    message_id: int | None  # the newest message, for a test letter
    has_sent_test: bool

    @property
    def current(self) -> Step | None:
        """The next step; None if all have been done or skipped."""
        return next((step for step in Step if step not in self.done | self.skipped), None)

    @property
    def is_shown(self) -> bool:
        return not self.is_closed and self.current is not None

    @property
    def can_reopen(self) -> bool:
        """Whether the guide is hidden although some of its steps are not done."""
        return not self.is_shown and len(self.done) < len(Step)


def load_guide(user: User) -> Guide:
    """Return the user's progress."""
    owned = {step: exists().where(owner_id == user.id) for step, owner_id in OWNER_COLUMNS.items()}
    owned[Step.MAILING] = owned[Step.MAILING].where(Mailing.kind == MailingKind.MAILING)
    newest = select(func.max(Message.id)).where(Message.owner_id == user.id).scalar_subquery()
    sent_test = exists().where(OutboxLetter.user_id == user.id, OutboxLetter.template == TEST_LETTER)
    *existing, message_id, has_sent_test = db.session.execute(
        select(*owned.values(), newest, sent_test)
    ).one()
    done = frozenset(step for step, is_done in zip(OWNER_COLUMNS, existing, strict=True) if is_done)
    skipped = frozenset(step for step in Step if step in user.guide_skipped) - done
    return Guide(done, skipped, user.guide_closed, message_id, bool(has_sent_test))


def add_own_address(user: User) -> None:
    """Add the user as the first client, who gets the first mailing.

    Raises InvalidEmail, DuplicateClient or LimitReached.
    """
    create_client(user.id, ClientValues(user.email, user.name))


def save_name(user: User, name: str) -> None:
    """Store the name that clients see as the sender; an empty name changes nothing."""
    user.name = clean_line(name)[:MAX_NAME] or user.name


def skip_step(user: User, step: Step) -> None:
    user.guide_skipped = sorted({*user.guide_skipped, step.value})


def restore_step(user: User, step: Step) -> None:
    user.guide_skipped = sorted({*user.guide_skipped} - {step.value})


def open_guide(user: User) -> None:
    """Show the guide again, with all its steps."""
    user.guide_closed = False
    user.guide_skipped = []
