"""flask mailings: run the actions of the mailing pages from a shell."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TextIO, TypeVar

import click
from flask.cli import AppGroup
from sqlalchemy import select

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.commands.lookups import get_mailing
from skymailing.commands.report import report
from skymailing.dispatch import commit_and_dispatch
from skymailing.email_addresses import address_key
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.mailings import queries, resending, services
from skymailing.mailings.progress import Deferred, Progress, Unknowns, measure_progress
from skymailing.mailings.progress_text import format_progress
from skymailing.mailings.state_text import explain_state
from skymailing.models import DeliveryState, Mailing, User
from skymailing.web.error_texts import explain
from skymailing.web.i18n import choose_timezone

T = TypeVar("T")

Value = str | int | float | bool | None

mailings = AppGroup("mailings", help="List, start, pause, resume and cancel mailings.")
mailings.add_command(report)


@mailings.command("list")
def list_mailings() -> None:
    """List all mailings of all users, newest first."""
    statement = (
        select(Mailing.id, Mailing.state, Mailing.disabled_at, Mailing.next_run_at, User.email, Mailing.name)
        .join(User, User.id == Mailing.owner_id)
        .order_by(Mailing.id.desc())
    )
    rows = db.session.execute(statement).tuples().all()
    db.session.rollback()  # a slow reader of the output must not block writers
    for id, state, disabled_at, next_run_at, email, name in rows:
        suffix = " disabled" if disabled_at else ""
        start = f" next {format_time(next_run_at)}" if next_run_at else ""
        click.echo(f"{id}\t{state}{suffix}\t{email}\t{name}{start}")


@mailings.command("start")
@click.argument("mailing_id", type=int)
def start(mailing_id: int) -> None:
    """Start a draft or scheduled mailing immediately."""
    apply_action(
        mailing_id,
        lambda mailing, now: services.start_now(mailing, now, services.find_obstacle(mailing, now)),
        lambda started: "starts now" if started else "is already running",
    )


@mailings.command("pause")
@click.argument("mailing_id", type=int)
def pause(mailing_id: int) -> None:
    """Stop sending until the mailing is resumed."""
    apply_action(mailing_id, services.pause_mailing, lambda _: "has been paused")


@mailings.command("resume")
@click.argument("mailing_id", type=int)
def resume(mailing_id: int) -> None:
    """Resume a paused mailing where it stopped."""
    action = partial(services.resume_mailing, actor=current_actor())
    apply_action(mailing_id, action, lambda _: "has been resumed")


@mailings.command("cancel")
@click.argument("mailing_id", type=int)
def cancel(mailing_id: int) -> None:
    """Cancel the rest of a mailing permanently."""
    apply_action(mailing_id, services.cancel_mailing, lambda _: "has been cancelled")


@mailings.command("confirm")
@click.argument("mailing_id", type=int)
@click.argument("file", type=click.File(encoding="utf-8", errors="replace"))
def confirm(mailing_id: int, file: TextIO) -> None:
    """Record letters with an unknown outcome as sent.

    FILE lists their addresses, one per line; - is standard input.
    Use it for addresses whose letters the mail server accepted according to its own log.
    """
    keys = {address_key(line.strip().strip("<>")) for line in file if line.strip()}
    mailing = get_mailing(mailing_id)
    count = resending.confirm_unknowns(mailing, keys, utcnow())
    db.session.commit()
    click.echo(f"Unknown letters recorded as sent: {count:,}")


@mailings.command("status")
@click.argument("mailing_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of lines.")
def status(mailing_id: int, as_json: bool) -> None:
    """Show the state of a mailing and the numbers of its last run, which add up to `planned`."""
    values = collect_status(get_mailing(mailing_id))
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    for name, value in values.items():
        click.echo(f"{name} {format_value(value)}")


def format_value(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)


def collect_status(mailing: Mailing) -> dict[str, Value]:
    """Return the values of `status` by name.

    Times are in UTC, except within sentences, which use the service's time zone.
    """
    last = queries.count_last_run(mailing)
    return {
        "mailing": mailing.id,
        "name": mailing.name,
        "state": mailing.state.value,
        "reason": explain_state(mailing),
        "disabled": mailing.is_disabled,
        "disabled_reason": mailing.disabled_reason if mailing.is_disabled else "",
        "owner_blocked": mailing.owner.is_blocked,
        "next_run_at": format_time(mailing.next_run_at),
        "run": last.run.id if last else None,
        "run_state": last.run.state.value if last else None,
        "planned": last.planned if last else 0,
        **{state.value: last.counts[state] if last else 0 for state in DeliveryState},
        "ends_at": format_time(mailing.ends_at),
        **collect_progress(measure_progress(mailing, last, utcnow()) if last else None),
        "timezone": choose_timezone(),
    }


def collect_progress(progress: Progress | None) -> dict[str, Value]:
    """Return the last run's rate, its forecast and what delays it; empty values before the first run."""
    deferred, unknowns = (progress.deferred, progress.unknowns) if progress else (Deferred(), Unknowns())
    text = format_progress(progress) if progress else None
    left = progress.time_left if progress else None
    server = progress.routes[0] if progress and progress.routes else None
    return {
        "rate_per_second": round(progress.rate, 3) if progress and progress.rate is not None else None,
        "seconds_left": round(left.total_seconds()) if left is not None else None,
        "finishes_at": format_time(progress.finishes_at) if progress else None,
        "would_expire": progress.would_expire if progress else 0,
        "deferred_next_at": format_time(deferred.next_due),
        "unknown_waiting": unknowns.waiting,
        "unknown_left": unknowns.left,
        "unknown_resend": unknowns.resend,
        "unknown_resend_at": format_time(unknowns.resend_at),
        "unknown_sent_again": unknowns.sent_again,
        "forecast": text.forecast if text else "",
        "route": (" ".join(text.routes) or text.server) if text else "",
        "route_state": server.condition if server else None,
        "route_since": format_time(server.since) if server else None,
        "route_next_try": format_time(server.retry_at) if server else None,
        "paused_until": format_time(progress.hours_open_at) if progress else None,
    }


def apply_action(
    mailing_id: int, action: Callable[[Mailing, datetime], T], describe: Callable[[T], str]
) -> None:
    """Apply an action to the mailing and commit, or explain why it is not possible."""
    now = utcnow()
    mailing = get_mailing(mailing_id)
    name = mailing.name
    try:
        result = action(mailing, now)
    except UserError as error:
        db.session.rollback()
        raise click.ClickException(explain(error)) from error
    commit_and_dispatch(mailing, now)
    click.echo(f"Mailing {mailing_id} “{name}” {describe(result)}.")


def format_time(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z") if time else None
