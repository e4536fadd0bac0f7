"""A mailing's page, and the part of it that refreshes itself."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from flask import render_template, request
from flask_login import login_required

from skymailing import clock
from skymailing.archive.queries import find_archive, find_entry
from skymailing.archive.services import find_obstacle
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.parts import read_parts
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.senders import describe_mailing
from skymailing.mailings import forecast, log_queries, queries, run_queries, services
from skymailing.mailings.follow_up import can_follow_up
from skymailing.mailings.form_forecast import make_forecast_context
from skymailing.mailings.progress import Progress, measure_progress
from skymailing.mailings.progress_text import format_hours, format_progress
from skymailing.mailings.queries import Ledger
from skymailing.mailings.result_text import describe_comparisons, explain_cause, format_share
from skymailing.mailings.results import sum_up_run
from skymailing.mailings.state_text import explain_state
from skymailing.mailings.variant_results import describe_test
from skymailing.mailings.views.blueprint import bp, get_own_mailing
from skymailing.models import Audience, DeliveryState, Mailing, MailingState, OnPassed
from skymailing.outbox.queries import find_unsent_test
from skymailing.web.error_texts import explain
from skymailing.web.labels import state_label, state_tone
from skymailing.web.responses import respond_if_changed

# The page refreshes itself when a start is this close.
REFRESH_BEFORE_START = timedelta(minutes=1)


@bp.get("/<int:mailing_id>")
@login_required
def show(mailing_id: int) -> str:
    """Show a mailing, its progress and the possible actions."""
    mailing = get_own_mailing(mailing_id)
    live = make_live_context(mailing)
    return render_template(
        "mailings/show.html",
        unsent_test=find_unsent_test(mailing.owner_id, mailing.message_id, clock.utcnow()),
        runs=queries.list_runs(mailing, request.args.get("cursor")),
        sender=describe_mailing(mailing).mailbox,
        has_runs=run_queries.has_runs(mailing),
        hours=format_hours(SendingHours.of(mailing)),
        on_passed=state_label(OnPassed(mailing.on_passed)),
        can_be_edited=services.can_be_edited(mailing),
        **make_audience_context(mailing, clock.utcnow()),
        **make_archive_context(live["ledger"]),
        **live,
    )


def make_archive_context(last: Ledger | None) -> dict[str, Any]:
    """Return whether the last run is published, or can be."""
    if last is None:
        return {}
    published = find_entry(last.run.id)
    return {
        "published": published,
        "archive": find_archive(published.owner_id) if published else None,
        "can_be_published": find_obstacle(last.run) is None,
    }


def make_audience_context(mailing: Mailing, now: datetime) -> dict[str, Any]:
    """Return the mailing's audience, its size if the mailing may start again, and the next starts."""
    next_start = forecast.find_next_start(mailing, now)
    may_send_later = mailing.state in {MailingState.DRAFT, MailingState.SCHEDULED, MailingState.PAUSED}
    recipients, reach, count, upcoming = None, None, None, None
    with suppress(TookTooLong), limit_time():
        recipients = find_recipients(mailing, now)
        if may_send_later or next_start:
            reach = forecast.Reach(recipients.count(), recipients.count_suppressed())
        if reach and may_send_later:
            count = reach.audience
        elif mailing.audience is Audience.SELECTED:
            count = recipients.count()
    if next_start:
        upcoming = forecast.forecast_starts(mailing, SendingHours.of(mailing), next_start, reach, now)
    problem = recipients.problem if recipients else None
    return {
        "parts": recipients.parts if recipients else read_parts(mailing),
        "problem": explain(problem) if problem else "",
        "recipients": count,
        "is_uncounted": reach is None and (may_send_later or next_start is not None),
        "suppressed": reach.suppressed if reach and may_send_later else 0,
        **make_forecast_context(upcoming, has_test=bool(mailing.sample_percent)),
    }


@bp.get("/<int:mailing_id>/progress")
@login_required
def progress(mailing_id: int) -> tuple[str, int]:
    """Return the live part of the page; 204 if the browser already shows this version."""
    return respond_if_changed(
        render_template("mailings/_live.html", **make_live_context(get_own_mailing(mailing_id)))
    )


def make_live_context(mailing: Mailing) -> dict[str, Any]:
    """Return the context of `mailings/_live.html`."""
    last = queries.count_last_run(mailing)
    progress = measure_progress(mailing, last, clock.utcnow()) if last else None
    log_filter = log_queries.LogFilter(owner_id=mailing.owner_id, mailing_id=mailing.id)
    return {
        "mailing": mailing,
        "ledger": last,
        "test": describe_test(last.run, last, clock.utcnow()) if last else None,
        "progress": progress,
        "results": sum_up_run(last) if last else None,
        "comparisons": describe_comparisons(last, clock.utcnow()),
        "explain_cause": explain_cause,
        "format_share": format_share,
        "text": format_progress(progress) if progress else None,
        "timeline": run_queries.build_timeline(last.run) if last else [],
        "tones": {state: state_tone(state) for state in DeliveryState},
        "attempts": log_queries.list_recent_attempts(log_filter),
        "is_live": is_live(mailing),
        "possible": list_possible_actions(mailing, progress),
        "states": list(DeliveryState),
        "explain_state": explain_state,
    }


def is_live(mailing: Mailing) -> bool:
    """Return whether the page should refresh: letters are being sent or will be within a minute."""
    if mailing.is_disabled:
        return False
    if mailing.state is MailingState.RUNNING:
        return True
    starts = mailing.next_run_at if mailing.state is MailingState.SCHEDULED else None
    return starts is not None and starts <= clock.utcnow() + REFRESH_BEFORE_START


def list_possible_actions(mailing: Mailing, progress: Progress | None) -> set[str]:
    """Return the actions to offer now; services reject all other actions in any case."""
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
    if progress and progress.unknowns.waiting and not mailing.is_disabled:
        possible.add("settle-unknowns")
    if can_follow_up(mailing, progress.ledger.run if progress else None):
        possible.add("follow-up")
    if mailing.is_disabled or not window_is_open:
        possible -= {"start", "resume", "resend-failed"}
    return possible
