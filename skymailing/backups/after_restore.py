"""Handle events after the backup, which the restored database does not contain.

Letters may have been sent since, and people may have signed out, changed their passwords or unsubscribed. To
avoid sending a letter twice, every mailing waits for its owner, unfinished deliveries become unknown, and all
users are signed out.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from skymailing.delivery import plan
from skymailing.delivery.recovery import after_restore
from skymailing.delivery.sequences.restoring import mark_sequences
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
RESTORED_ERROR = "restored from a backup; it may have been sent since"


@dataclass(frozen=True)
class PausedMailing:
    """A paused mailing, which needs its owner's decision."""

    id: int
    name: str
    owner: str
    unknown: int


def pause_mailings(made_at: datetime, now: datetime) -> list[PausedMailing]:
    """Pause all mailings, drop account letters and sign everyone out; return the paused mailings.

    Commit, then call `finish_open_runs`.
    """
    unknown = after_restore.mark_open_unknown(db.session.connection(), made_at, now)
    paused = []
    # This includes drafts: one may have been started after the backup, so its page shows a warning.
    for mailing in db.session.scalars(
        select(Mailing).where(Mailing.state.in_(MAY_START)).order_by(Mailing.id)
    ):
        if mailing.state in (MailingState.SCHEDULED, MailingState.RUNNING):
            MAILING_TRANSITIONS.move(mailing, MailingState.PAUSED)
        if mailing.state is MailingState.PAUSED:
            count = unknown.get(mailing.id, 0)
            paused.append(PausedMailing(mailing.id, mailing.name, mailing.owner.email, count))
        mailing.state_reason = f"{StateReason.RESTORED}: {made_at.isoformat(timespec='seconds')}"
    mark_sequences(made_at, now)
    _drop_account_letters(now)
    sign_everyone_out()
    return paused


def finish_open_runs(now: datetime) -> None:
    """Finish the runs that have no letters left to send, each in its own transaction."""
    for run_id in _open_runs():
        plan.finish_run(run_id, now)


def sign_everyone_out() -> None:
    """End all sessions: the backup does not show who has since signed out or changed their password."""
    db.session.execute(update(User).values(session_epoch=User.session_epoch + 1))


def _drop_account_letters(now: datetime) -> None:
    is_unsent = OutboxLetter.state.in_([LetterState.PENDING, LetterState.SENDING])
    db.session.execute(
        update(OutboxLetter)
        .where(is_unsent)
        .values(state=LetterState.FAILED, lease_until=None, last_error=RESTORED_ERROR)
    )
    for user in db.session.scalars(select(User).where(User.next_summary_at <= now)):
        summaries.choose_summary_hour(user, user.summary_hour, now)


def _open_runs() -> list[int]:
    is_open = Run.state.in_(OPEN_RUN_STATES)
    ids = list(db.session.scalars(select(Run.id).where(is_open)))
    db.session.rollback()
    return ids
