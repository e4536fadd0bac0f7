"""flask mailings: what the mailings' pages do, from a shell."""

import json
from collections.abc import Callable
from datetime import datetime

import click
from flask.cli import AppGroup
from sqlalchemy import select

from skymailing.clock import utcnow
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.mailings import dispatch, queries, services
from skymailing.mailings.reasons import explain_state
from skymailing.models import DeliveryState, Mailing, User

mailings = AppGroup("mailings", help="Look at mailings, start, pause, resume and cancel them.")


@mailings.command("list")
def list_mailings() -> None:
    """List all mailings of all users, newest first."""
    statement = (
        select(Mailing.id, Mailing.state, Mailing.disabled_at, Mailing.next_run_at, User.email, Mailing.name)
        .join(User, User.id == Mailing.owner_id)
        .order_by(Mailing.id.desc())
    )
    rows = db.session.execute(statement).tuples().all()
    db.session.rollback()  # whoever reads our output slowly keeps nobody from writing
    for id, state, disabled_at, next_run_at, email, name in rows:
        mark = " disabled" if disabled_at else ""
        start = f" next {format_time(next_run_at)}" if next_run_at else ""
        click.echo(f"{id}\t{state}{mark}\t{email}\t{name}{start}")


@mailings.command("start")
@click.argument("mailing_id", type=int)
def start(mailing_id: int) -> None:
    """Start a draft or scheduled mailing at once."""
    carry_out(mailing_id, services.start_now, "starts now")


@mailings.command("pause")
@click.argument("mailing_id", type=int)
def pause(mailing_id: int) -> None:
    """Stop handing over letters until the mailing is resumed."""
    carry_out(mailing_id, services.pause_mailing, "is paused")


@mailings.command("resume")
@click.argument("mailing_id", type=int)
def resume(mailing_id: int) -> None:
    """Go on where the mailing was paused."""
    carry_out(mailing_id, services.resume_mailing, "goes on")


@mailings.command("cancel")
@click.argument("mailing_id", type=int)
def cancel(mailing_id: int) -> None:
    """Cancel what has not been sent, for good."""
    carry_out(mailing_id, services.cancel_mailing, "is cancelled")


@mailings.command("status")
@click.argument("mailing_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def status(mailing_id: int, as_json: bool) -> None:
    """Show the state of a mailing and the numbers of its last run, which add up to `planned`."""
    values = describe(find(mailing_id))
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    for name, value in values.items():
        click.echo(f"{name} {show(value)}")


def show(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)


def describe(mailing: Mailing) -> dict[str, str | int | bool | None]:
    """Return what `status` says, by name."""
    last = queries.last_run(mailing)
    return {
        "mailing": mailing.id,
        "name": mailing.name,
        "state": mailing.state.value,
        "reason": explain_state(mailing),
        "disabled": mailing.is_disabled,
        "next_run_at": format_time(mailing.next_run_at),
        "run": last.run.id if last else None,
        "run_state": last.run.state.value if last else None,
        "planned": last.planned if last else 0,
        **{state.value: last.counts[state] if last else 0 for state in DeliveryState},
    }


def carry_out(mailing_id: int, verb: Callable[[Mailing, datetime], object], done: str) -> None:
    """Do it, commit, tell the workers; or say why it cannot be done."""
    now = utcnow()
    mailing = find(mailing_id, to_change=True)
    name = mailing.name
    try:
        verb(mailing, now)
    except SkyMailingError as error:
        db.session.rollback()
        raise click.ClickException(str(error)) from error
    db.session.commit()
    dispatch.announce(mailing, now)
    click.echo(f"Mailing {mailing_id} “{name}” {done}.")


def find(mailing_id: int, *, to_change: bool = False) -> Mailing:
    statement = select(Mailing).where(Mailing.id == mailing_id)
    if to_change:
        statement = statement.with_for_update(of=Mailing)
    mailing = db.session.scalar(statement)
    if mailing is None:
        raise click.ClickException(f"There is no mailing {mailing_id}.")
    return mailing


def format_time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
