"""What a restored database cannot know, made plain before anything goes on.

Between the backup and the loss letters may have left, people may have signed out, changed their
passwords or unsubscribed. Nobody shall get a second letter behind our back: every mailing waits for
its owner, letters that were open are unclear, and nobody stays signed in.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from skymailing.delivery import plan
from skymailing.delivery.recovery import after_restore
from skymailing.extensions import db
from skymailing.mailings import summaries
from skymailing.models import (
    MAILING_TRANSITIONS,
    OPEN_RUN_STATES,
    LetterState,
    Mailing,
    MailingState,
    OutboxLetter,
    Run,
    StateReason,
    User,
)

MAY_START = (MailingState.DRAFT, MailingState.SCHEDULED, MailingState.RUNNING, MailingState.PAUSED)
LOST = "restored from a backup: it may have been sent after that"


@dataclass(frozen=True)
class Waiting:
    """A mailing that waits for its owner's decision."""

    id: int
    name: str
    owner: str
    unclear: int


def settle(made_at: datetime, now: datetime) -> list[Waiting]:
    """Let nothing be sent that nobody asks for again; return the mailings that wait. Commits."""
    unclear = after_restore.mark_open_unknown(db.session.connection(), made_at, now)
    waiting = []
    # Drafts too may have been started since: whoever presses a button is told what is not known.
    for mailing in db.session.scalars(
        select(Mailing).where(Mailing.state.in_(MAY_START)).order_by(Mailing.id)
    ):
        if mailing.state in (MailingState.SCHEDULED, MailingState.RUNNING):
            MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
        if mailing.state is MailingState.PAUSED:
            unclear_here = unclear.get(mailing.id, 0)
            waiting.append(Waiting(mailing.id, mailing.name, mailing.owner.email, unclear_here))
        mailing.state_reason = f"{StateReason.RESTORED}: {made_at.isoformat(timespec='seconds')}"
    _drop_account_letters(now)
    sign_everybody_out()
    db.session.commit()
    for run_id in _open_runs():
        plan.finish_run(run_id, now)
    return waiting


def sign_everybody_out() -> None:
    """End every session: which of them were ended since, or whose password changed, is lost."""
    db.session.execute(update(User).values(session_epoch=User.session_epoch + 1))


def _drop_account_letters(now: datetime) -> None:
    open_letters = OutboxLetter.state.in_([LetterState.PENDING, LetterState.SENDING])
    db.session.execute(
        update(OutboxLetter)
        .where(open_letters)
        .values(state=LetterState.FAILED, lease_until=None, last_error=LOST)
    )
    for user in db.session.scalars(select(User).where(User.next_summary_at <= now)):
        summaries.choose_summary_hour(user, user.summary_hour, now)


def _open_runs() -> list[int]:
    is_open = Run.state.in_(OPEN_RUN_STATES)
    ids = list(db.session.scalars(select(Run.id).where(is_open)))
    db.session.rollback()
    return ids
