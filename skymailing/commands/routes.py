"""flask routes: show the mail servers and how the delivery engine uses them."""

from datetime import datetime

import click
from flask.cli import with_appcontext
from redis import RedisError
from sqlalchemy import select

from skymailing import periodic
from skymailing.clock import utcnow
from skymailing.delivery.routing import reopening
from skymailing.delivery.routing.routes import list_configured, settings_of
from skymailing.extensions import db
from skymailing.models import BreakerState, OwnerPause, Route, User


@click.group("routes")
def routes() -> None:
    """Show and reopen the mail servers that letters are sent through."""


@routes.command("list")
@with_appcontext
def list_routes() -> None:
    """List the mail servers, the preferred one first, with the reason why one is not used."""
    known = {route.name: route for route in db.session.scalars(select(Route))}
    pauses = db.session.execute(select(OwnerPause, User.email).join(User)).tuples().all()
    db.session.rollback()
    for name in list_configured():
        server = settings_of(name)
        click.echo(f"{name:9} {server.server}:{server.port}  {describe_route(known.get(name))}")
        for pause, email in pauses:
            if pause.route == name:
                click.echo(f"  refuses letters of {email}, {_describe_retry(pause.until)}: {pause.reply}")


def describe_route(route: Route | None) -> str:
    """Return how the route is used, for operators; times are UTC."""
    if route is None or route.state is BreakerState.CLOSED:
        slower = f", at most {route.pace:.3g} letters per second" if route and route.pace else ""
        return f"in use{slower}{_describe_return_paths(route)}"
    next_try = f", {_describe_retry(route.retry_at)}" if route.retry_at else ""
    since = f" since {route.opened_at:%Y-%m-%d %H:%M:%S} UTC" if route.opened_at else ""
    return f"shut off{since}{next_try}: {route.last_fault}"


def _describe_return_paths(route: Route | None) -> str:
    if route and route.bounce_address:
        return ", each letter has its own return path"
    problem = route.probe.get("return_path_problem") if route else ""
    return f", letters do not have their own return paths: {problem}" if problem else ""


def _describe_retry(at: datetime) -> str:
    return f"next try at {at:%H:%M:%S} UTC"


@routes.command("reopen")
@click.argument("names", nargs=-1)
@with_appcontext
def reopen(names: tuple[str, ...]) -> None:
    """Put mail servers back into use at once, all or only NAMES, for example after correcting a password.

    Changed settings need a restart, which has the same effect.
    """
    configured = list_configured()
    used = db.session.scalars(select(Route.name).where(Route.name.in_(names))).all()  # users' servers
    db.session.rollback()
    if unknown := [name for name in names if name not in (*configured, *used)]:
        raise click.ClickException(f"There is no route {unknown[0]}; choose from: {', '.join(configured)}.")
    for name in names or configured:
        reopening.reopen(name)
        click.echo(f"The route {name} is in use again.")
    try:
        periodic.hint_due_work(utcnow())
    except RedisError as error:
        raise click.ClickException(f"Redis does not respond, so letters wait for a sweep: {error}") from error
