"""flask clients: an address book in and out without the web."""

import sys
from typing import IO

import click
from flask.cli import AppGroup
from sqlalchemy import select

from skymailing import audit
from skymailing.auth import services as accounts
from skymailing.clients import exports, imports
from skymailing.clients.explanations import explain_failure, explain_rejection
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, ClientImport, ImportRejection, ImportState, User
from skymailing.web.csv import stream_csv
from skymailing.web.error_texts import explain

clients = AppGroup("clients", help="Import and export an address book.")


@clients.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--owner", "owner_email", required=True, metavar="EMAIL", help="Whose clients they become.")
def import_file(file: IO[bytes], owner_email: str) -> None:
    """Import the clients in a CSV FILE; ends with 1 only when nothing of it can be used."""
    owner_id = find_owner(owner_email)
    if not file.seekable():
        raise click.ClickException("FILE must be a file on disk, not a pipe.")
    try:
        import_ = imports.create_import(owner_id, file.name, None, file)  # type: ignore[arg-type]  # click's IO
    except UserError as error:
        db.session.rollback()
        raise click.ClickException(explain(error)) from error
    import_id = import_.id
    db.session.commit()
    imports.run_import_slice(import_id, file, on_progress=show_progress)  # type: ignore[arg-type]
    report(import_id)


@clients.command("export")
@click.option("--owner", "owner_email", required=True, metavar="EMAIL", help="Whose clients.")
def export(owner_email: str) -> None:
    """Write an address book as CSV to the standard output."""
    owner_id = find_owner(owner_email)
    owner = db.session.get_one(User, owner_id)
    audit.record_export(AuditAction.CLIENTS_EXPORTED, audit.current_actor(), owner)
    db.session.commit()
    for piece in stream_csv(exports.export_rows(owner_id)):
        # Bytes, so that no system changes the line ends that RFC 4180 asks for.
        click.echo(piece.encode(), nl=False)


def find_owner(email: str) -> int:
    user = accounts.find_user(email.strip().lower())
    if user is None:
        raise click.ClickException(f"There is no account with the address {email}; see `flask users list`.")
    owner_id = user.id
    db.session.rollback()
    return owner_id


def show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done:,} of {total:,} rows", err=True, nl=done == total)


def report(import_id: int) -> None:
    import_ = db.session.get_one(ClientImport, import_id)
    if import_.state is not ImportState.FINISHED:
        raise click.ClickException(explain_failure(import_.error) or "The import did not finish.")
    rejections = select(ImportRejection).where(ImportRejection.import_id == import_id)
    for rejection in db.session.scalars(
        rejections.order_by(ImportRejection.id).execution_options(yield_per=500)
    ):
        shown = " ".join(rejection.value.split())[:100]
        click.echo(f"line {rejection.line}: {explain_rejection(rejection.reason)} [{shown}]")
    click.echo(
        f"rows {import_.rows_done}, new {import_.created}, updated {import_.updated}, "
        f"rejected {import_.rejected}"
    )
