"""flask doctor: find problems in an installation, and give advice."""

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
    help="Check only this part; can be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@with_appcontext
def doctor(only: tuple[str, ...], as_json: bool) -> None:
    """Check every part of the installation; the exit code is 1 when there is a problem.

    A question mark means that a part could not be checked from here, such as DNS without a network.
    It does not count as a problem.
    """
    checks = run.run_checks(only)
    if as_json:
        is_ok = all(check.is_ok for check in checks)
        click.echo(json.dumps({"ok": is_ok, "checks": [check_to_dict(check) for check in checks]}, indent=2))
    else:
        for check in checks:
            click.echo(f"{format_status(check):8} {check.name}: {check.finding}")
            if not check.is_ok:
                click.echo(f"{'':8} -> {check.advice}")
    if not all(check.is_ok for check in checks):
        sys.exit(1)


def format_status(check: Check) -> str:
    """Return the status word at the start of a check's line."""
    if not check.is_ok:
        return "PROBLEM"
    return "ok" if check.is_known else "?"


def check_to_dict(check: Check) -> dict[str, object]:
    """Return a check for JSON; `ok` is null when it could not be checked."""
    return {
        "name": check.name,
        "ok": check.is_ok if check.is_known else None,
        "finding": check.finding,
        "advice": check.advice,
    }
