"""The page of a mailing and the part of it that refreshes itself."""

from datetime import timedelta
from typing import Any

from flask import render_template, request
from flask_login import login_required

from skymailing import clock
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.mailings import forecast, log_queries, preflight, queries, run_queries, services
from skymailing.mailings.progress import Progress, measure_progress
from skymailing.mailings.progress_text import hours_words, put_into_words
from skymailing.mailings.state_text import explain_state
from skymailing.mailings.views import edit
from skymailing.mailings.views.blueprint import bp, get_own_mailing
from skymailing.models import Audience, DeliveryState, Mailing, MailingState
from skymailing.web.labels import state_tone
from skymailing.web.responses import respond_if_changed

# A page that waits for a start this near looks for it by itself.
SOON = timedelta(minutes=1)
RECENT_ATTEMPTS = 8


@bp.get("/<int:mailing_id>")
@login_required
def show(mailing_id: int) -> str:
    """Show what is sent to whom and when, how far it has come, and what can be done."""
    mailing = get_own_mailing(mailing_id)
    waits = mailing.state in {MailingState.DRAFT, MailingState.SCHEDULED, MailingState.PAUSED}
    return render_template(
        "mailings/show.html",
        audience=services.audience_size(mailing) if waits or mailing.audience is Audience.SELECTED else None,
        suppressed=queries.count_suppressed(mailing) if waits else 0,
        runs=queries.list_runs(mailing, request.args.get("cursor")),
        has_runs=queries.has_runs(mailing),
        hours=hours_words(SendingHours.of(mailing)),
        can_be_edited=edit.can_be_edited(mailing),
        **preflight.tell(forecast.foresee_scheduled(mailing, clock.utcnow())),
        **live_part(mailing),
    )


@bp.get("/<int:mailing_id>/progress")
@login_required
def progress(mailing_id: int) -> tuple[str, int]:
    """Return the part of the page that changes while letters are sent, unless it is as it was seen."""
    return respond_if_changed(
        render_template("mailings/_live.html", **live_part(get_own_mailing(mailing_id)))
    )


def live_part(mailing: Mailing) -> dict[str, Any]:
    """Return what `mailings/_live.html` needs."""
    last = queries.last_run(mailing)
    progress = measure_progress(mailing, last, clock.utcnow()) if last else None
    wanted = log_queries.LogFilter(owner_id=mailing.owner_id, mailing_id=mailing.id)
    return {
        "mailing": mailing,
        "ledger": last,
        "progress": progress,
        "words": put_into_words(progress) if progress else None,
        "course": run_queries.course_of(last.run) if last else [],
        "tones": {state: state_tone(state) for state in DeliveryState},
        "attempts": log_queries.list_attempts(wanted, None, RECENT_ATTEMPTS),
        "is_live": is_live(mailing),
        "possible": possible_actions(mailing, progress),
        "states": list(DeliveryState),
        "explain_state": explain_state,
    }


def is_live(mailing: Mailing) -> bool:
    """Whether the page should look again by itself: letters leave now or within a minute."""
    if mailing.is_disabled:
        return False
    if mailing.state is MailingState.RUNNING:
        return True
    starts = mailing.next_run_at if mailing.state is MailingState.SCHEDULED else None
    return starts is not None and starts <= clock.utcnow() + SOON


def possible_actions(mailing: Mailing, progress: Progress | None) -> set[str]:
    """Return the actions that make sense now; a verb refuses the others in any case."""
    by_state = {
        MailingState.DRAFT: {"start"},
        MailingState.SCHEDULED: {"start", "pause", "cancel"},
        MailingState.RUNNING: {"pause", "cancel"},
        MailingState.PAUSED: {"resume", "cancel"},
        MailingState.FINISHED: set[str](),
        MailingState.CANCELLED: set[str](),
    }
    possible = by_state[mailing.state]
    window_is_open = mailing.ends_at > clock.utcnow()
    if progress and progress.ledger["failed"] and mailing.state is not MailingState.CANCELLED:
        possible.add("resend-failed")
    if progress and progress.unclear.waiting and not mailing.is_disabled:
        possible.add("settle-unknowns")
    if mailing.is_disabled or not window_is_open:
        possible -= {"start", "resume", "resend-failed"}
    return possible
