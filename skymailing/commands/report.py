"""flask mailings report: print the results for a period, for other programs."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import click
from flask import current_app
from flask.cli import with_appcontext

from skymailing.clock import utcnow
from skymailing.commands.lookups import get_mailing, get_owner_id
from skymailing.extensions import db
from skymailing.models import User
from skymailing.reports.aggregates import Scope
from skymailing.reports.export import export_report, export_rows
from skymailing.reports.periods import InvalidPeriod, choose_period
from skymailing.reports.queries import make_report
from skymailing.web.csv import stream_csv
from skymailing.web.error_texts import explain

DAY_TYPE = click.DateTime(["%Y-%m-%d"])


@click.command("report")
@click.option("--owner", metavar="EMAIL", help="Only this user's mailings.")
@click.option("--mailing", "mailing_id", type=int, metavar="ID", help="Only this mailing.")
@click.option("--since", type=DAY_TYPE, help="First day. Default: 29 days before the last day.")
@click.option("--until", type=DAY_TYPE, help="Last day. Default: today.")
@click.option("--format", "format_", type=click.Choice(["json", "csv"]), default="json", show_default=True)
@with_appcontext
def report(
    owner: str | None,
    mailing_id: int | None,
    since: datetime | None,
    until: datetime | None,
    format_: str,
) -> None:
    """Print results by day, in the owner's time zone or, for all users, in the service's."""
    scope, zone = choose_scope(owner, mailing_id)
    try:
        period = choose_period(since and since.date(), until and until.date(), zone, utcnow())
    except InvalidPeriod as error:
        raise click.ClickException(explain(error)) from error
    if format_ == "csv":
        pieces = list(stream_csv(export_rows(scope, period)))
    else:
        result = {"owner": owner, "mailing": mailing_id} | export_report(make_report(scope, period))
        pieces = [json.dumps(result, ensure_ascii=False, indent=2) + "\n"]
    db.session.rollback()  # a slow reader of the output must not block writers
    for piece in pieces:
        click.echo(piece, nl=False)


def choose_scope(owner: str | None, mailing_id: int | None) -> tuple[Scope, ZoneInfo]:
    """Return the mailings to report on, and the time zone in which days begin."""
    user = None
    if owner is not None:
        user = db.session.get_one(User, get_owner_id(owner))
    if mailing_id is not None:
        mailing = get_mailing(mailing_id)
        if user is not None and mailing.owner_id != user.id:
            raise click.ClickException(f"Mailing {mailing_id} does not belong to {owner}.")
        user = mailing.owner
    zone = user.timezone if user else current_app.config["DEFAULT_TIMEZONE"]
    return Scope(user.id if user else None, mailing_id), ZoneInfo(zone)
