"""flask servers: offer mail servers to everybody, and list them with those of owners."""

from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import select

from skymailing import hints
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Security, SmtpServer, User
from skymailing.servers import services
from skymailing.servers.services import ServerError, ServerValues
from skymailing.web.error_texts import explain

servers = AppGroup("servers", help="Offer mail servers to everybody, and list them with users' servers.")


@servers.command("list")
def list_servers() -> None:
    """List all mail servers and whether they work; those for everybody with their reply to the last test."""
    found = select(SmtpServer, User.email).outerjoin(User, User.id == SmtpServer.owner_id)
    for server, email in db.session.execute(found.order_by(SmtpServer.id)).tuples():
        reply = f": {server.test_answer}" if server.is_shared and server.test_answer else ""
        click.echo(
            f"{server.id}  {server.name}  {server.host}:{server.port}  {email or 'everybody'}  "
            f"{_describe_test(server)}{reply}"
        )


def _describe_test(server: SmtpServer) -> str:
    if server.is_being_tested:
        return "being tested"
    return "works" if server.has_passed else "does not work"


@servers.command("add")
@click.option("--everybody", is_flag=True, required=True, help="All users can choose it for their senders.")
@click.option("--name", required=True, help="The name that users see.")
@click.option("--host", required=True)
@click.option("--port", type=click.IntRange(1, 65535), default=587, show_default=True)
@click.option(
    "--security", type=click.Choice([*map(str, Security)]), default=str(Security.STARTTLS), show_default=True
)
@click.option("--username", default="", help="If given, the password is prompted for.")
@click.option("--rate", type=click.IntRange(1), help="Letters per minute.")
@click.option("--sessions", type=click.IntRange(1), default=5, show_default=True, help="For all workers.")
def add(everybody: bool, security: str, username: str, rate: int | None, **values: Any) -> None:  # noqa: ARG001
    """Add a mail server for everybody; a worker tests it. It may be in a private network."""
    password = click.prompt("Password", hide_input=True) if username else ""
    chosen = ServerValues(
        security=Security(security), username=username, password=password, rate_per_minute=rate, **values
    )
    server = services.add_server(None, chosen, utcnow(), current_actor())
    server_id = server.id
    db.session.commit()
    hints.hint_server_tests()
    click.echo(f"The mail server {server_id} was added. To see its test: flask servers list")


@servers.command("test")
@click.argument("server_id", type=int)
def test(server_id: int) -> None:
    """Let a worker test a mail server for everybody."""
    services.request_test(_find(server_id), utcnow())
    db.session.commit()
    hints.hint_server_tests()
    click.echo("A worker will test it. To see the result: flask servers list")


@servers.command("delete")
@click.argument("server_id", type=int)
def delete(server_id: int) -> None:
    """Delete a mail server for everybody that no sender uses."""
    server = _find(server_id)
    try:
        services.delete_server(server, current_actor())
    except ServerError as error:
        db.session.rollback()
        raise click.ClickException(str(explain(error))) from error
    db.session.commit()
    click.echo("Deleted.")


def _find(server_id: int) -> SmtpServer:
    server = db.session.get(SmtpServer, server_id)
    if server is None or not server.is_shared:
        raise click.ClickException(f"There is no mail server {server_id} for everybody.")
    return server
