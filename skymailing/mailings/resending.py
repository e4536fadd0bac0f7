"""Resend letters of a mailing's last run: those that failed, and those with unknown delivery."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select, update

from skymailing.delivery import reputation
from skymailing.delivery.audience.memberships import gets_topic
from skymailing.delivery.ledger import deliveries, late_results
from skymailing.delivery.ledger.run_counts import RunKey
from skymailing.extensions import db
from skymailing.mailings.errors import MailingError
from skymailing.mailings.queries import WAITS_FOR_DECISION, count_waiting_unknowns
from skymailing.mailings.run_queries import find_last_run
from skymailing.mailings.services import lock_mailing, move_mailing, require_enabled
from skymailing.models import (
    RUN_TRANSITIONS,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Run,
    RunState,
    StateReason,
    Suppression,
)


def resend_failed(mailing: Mailing, now: datetime) -> int:
    """Make the failed deliveries of the last run pending again; return how many there were."""
    run = _find_run_to_resend(mailing, now)
    # Letters to clients who have since been suppressed or left the topic remain failed; the log keeps the
    # reason.
    suppressed = exists().where(
        Suppression.owner_id == mailing.owner_id, Suppression.email_key == Delivery.email_key
    )
    failed = (Delivery.state == DeliveryState.FAILED) & Delivery.client_id.is_not(None) & ~suppressed
    if run.topic_id is not None:
        failed &= gets_topic(run.topic_id, Delivery.email_key)
    count = _requeue(mailing, run, failed, DeliveryState.PENDING, now)
    if count:
        _reopen(mailing, run, now)
    return count


def resend_unknowns(mailing: Mailing, now: datetime) -> int:
    """Send the last run's unknown letters again; return how many there were.

    A client may get the letter twice, with the same Message-ID.
    """
    run = _find_run_to_resend(mailing, now)
    count = _requeue(mailing, run, WAITS_FOR_DECISION, DeliveryState.DEFERRED, now)
    if count:
        _reopen(mailing, run, now)
    _clear_restore_notice(mailing)
    return count


def leave_unknowns(mailing: Mailing, now: datetime) -> int:
    """Do not resend the last run's unknown letters; return how many there were."""
    lock_mailing(mailing)
    require_enabled(mailing)
    run = find_last_run(mailing)
    if run is None:
        return 0
    # A row locked by another transaction is being finished there, for example by a late result.
    rows = select(Delivery.id).where(Delivery.run_id == run.id, WAITS_FOR_DECISION)
    left = update(Delivery).where(Delivery.id.in_(rows.with_for_update(skip_locked=True)))
    count = db.session.connection().execute(left.values(finished_at=now)).rowcount
    _clear_restore_notice(mailing)
    return count


def confirm_unknowns(mailing: Mailing, email_keys: Iterable[str], now: datetime) -> int:
    """Mark the last run's unknown letters as sent if the mail server's log lists them; return how many."""
    lock_mailing(mailing)
    run = find_last_run(mailing)
    if run is None:
        return 0
    key = RunKey(run.id, mailing.id, mailing.counted_owner_id, run.started_at)
    count = late_results.mark_accepted(db.session.connection(), key, email_keys, now)
    _clear_restore_notice(mailing)
    return count


def _clear_restore_notice(mailing: Mailing) -> None:
    """Stop showing that a backup was restored, once everything is decided and the mailing is not paused."""
    is_restored = mailing.state_reason.startswith(StateReason.RESTORED)
    if is_restored and mailing.state is not MailingState.PAUSED and not count_waiting_unknowns(mailing):
        mailing.state_reason = ""


def _find_run_to_resend(mailing: Mailing, now: datetime) -> Run:
    """Lock the mailing and return its last run; raises MailingError if its letters cannot be resent."""
    lock_mailing(mailing)
    require_enabled(mailing)
    if now >= mailing.ends_at:
        raise MailingError("mailing_window_over")
    run = find_last_run(mailing)
    if run is None or mailing.state is MailingState.CANCELLED:
        raise MailingError("mailing_no_run_to_resend")
    if run.details_removed_at is not None:
        raise MailingError("mailing_run_details_removed")
    return run


def _requeue(
    mailing: Mailing, run: Run, condition: ColumnElement[bool], state: DeliveryState, now: datetime
) -> int:
    """Reopen the run's finished deliveries that match the condition; return how many."""
    db.session.flush()
    return deliveries.reopen(
        db.session.connection(),
        RunKey(run.id, mailing.id, mailing.owner_id, run.started_at),
        condition,
        state,
        now,
    )


def _reopen(mailing: Mailing, run: Run, now: datetime) -> None:
    if run.state is RunState.FINISHED:
        RUN_TRANSITIONS.move(run, run.reopened_state)
        run.finished_at = None
    if mailing.state in (MailingState.FINISHED, MailingState.SCHEDULED):
        move_mailing(mailing, MailingState.RUNNING)
        reputation.restart(db.session.connection(), mailing.owner_id, now)
