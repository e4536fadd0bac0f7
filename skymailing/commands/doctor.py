"""Find out what is wrong with an installation, and say what to do."""

import json
import sys

import click
from flask.cli import with_appcontext

from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor import run


@click.command("doctor")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(run.NAMES),
    help="Check this part only; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_appcontext
def doctor(only: tuple[str, ...], as_json: bool) -> None:
    """Check every part that the service needs; ends with 1 when something is wrong.

    What could not be asked from here, such as DNS without a network, is told with a question mark
    and is no fault.
    """
    found = run.examine(only)
    if as_json:
        is_ok = all(check.is_ok for check in found)
        click.echo(json.dumps({"ok": is_ok, "checks": [describe(check) for check in found]}, indent=2))
    else:
        for check in found:
            click.echo(f"{mark(check):8} {check.name}: {check.finding}")
            if not check.is_ok:
                click.echo(f"{'':8} -> {check.advice}")
    if not all(check.is_ok for check in found):
        sys.exit(1)


def mark(check: Check) -> str:
    """Return the word that a line begins with."""
    if not check.is_ok:
        return "PROBLEM"
    return "ok" if check.is_known else "?"


def describe(check: Check) -> dict[str, object]:
    """Return a check for programs; `ok` is null for what could not be asked."""
    return {
        "name": check.name,
        "ok": check.is_ok if check.is_known else None,
        "finding": check.finding,
        "advice": check.advice,
    }
