"""flask clients: import and export an address book."""

import sys
from typing import IO, BinaryIO, cast

import click
from flask.cli import AppGroup
from sqlalchemy import select

from skymailing import audit
from skymailing.clients import exports, imports, tasks
from skymailing.clients.explanations import explain_failure, explain_rejection
from skymailing.clients.fields import Field
from skymailing.clients.files.encodings import ENCODINGS, find_encoding
from skymailing.clients.mapping import Mapping
from skymailing.clients.statuses import Standing
from skymailing.clients.tags import InvalidTag, read_tags
from skymailing.commands.lookups import get_owner_id
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, ClientImport, ImportRejection, ImportState, User
from skymailing.web.csv import stream_csv
from skymailing.web.error_texts import explain

clients = AppGroup("clients", help="Import and export an address book.")


@clients.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--owner", "owner_email", required=True, metavar="EMAIL", help="The account that gets the clients."
)
@click.option("--encoding", metavar="NAME", help="The file's encoding, such as cp1251; default: detected.")
@click.option(
    "--map",
    "choices",
    multiple=True,
    metavar="COLUMN=FIELD",
    help=f"What a column means: {', '.join(Field)}, or the name of a custom field. Can be repeated.",
)
@click.option("--tag", default="", metavar="NAME", help="A tag for all imported clients.")
@click.option("--suppress", is_flag=True, help="Stop mailing these addresses instead of adding clients.")
def import_file(
    file: IO[bytes],
    owner_email: str,
    encoding: str | None,
    choices: tuple[str, ...],
    tag: str,
    suppress: bool,
) -> None:
    """Import clients from FILE. The exit code is 1 only if the file cannot be imported at all."""
    owner_id = get_owner_id(owner_email)
    if not file.seekable():
        raise click.ClickException("FILE must be a file on disk, not a pipe.")
    mapping = Mapping(
        read_encoding(encoding),
        standing=Standing.BLOCKED.value if suppress else None,
        tag=read_tag(tag),
        chosen=tuple(map(read_choice, choices)),
    )
    source = cast(BinaryIO, file)
    try:
        with imports.open_any_file(source, file.name, mapping) as opened:
            table = imports.inspect_table(opened.file, opened.mapping)
            import_id = imports.create_import(owner_id, file.name, table).id
            db.session.commit()
            tasks.run_import_slice(import_id, opened.file, on_progress=show_progress)
    except UserError as error:
        db.session.rollback()
        raise click.ClickException(explain(error)) from error
    print_result(import_id)


def read_encoding(name: str | None) -> str | None:
    """Return our name for the encoding; raises ClickException if it is unknown."""
    encoding = find_encoding(name) if name else None
    if name and encoding is None:
        raise click.ClickException(f"Unknown encoding {name}. Choose from: {', '.join(ENCODINGS)}.")
    return encoding


def read_tag(text: str) -> str:
    """Return the tags for all clients; raises ClickException if one is too long."""
    try:
        return ", ".join(read_tags(text))
    except InvalidTag as error:
        raise click.ClickException(explain(error)) from error


def read_choice(text: str) -> tuple[str, str]:
    """Return the column and the field of COLUMN=FIELD; raises ClickException."""
    column, separator, field = text.rpartition("=")
    if not separator:
        raise click.ClickException(f"--map needs COLUMN=FIELD, as in City=town, not {text}.")
    return column, field


@clients.command("export")
@click.option("--owner", "owner_email", required=True, metavar="EMAIL", help="Whose clients to export.")
def export(owner_email: str) -> None:
    """Write an address book to standard output, as CSV."""
    owner_id = get_owner_id(owner_email)
    owner = db.session.get_one(User, owner_id)
    audit.record_export(AuditAction.CLIENTS_EXPORTED, audit.current_actor(), owner)
    db.session.commit()
    for piece in stream_csv(exports.export_rows(owner_id)):
        # Bytes, so that the line endings that RFC 4180 requires are not converted.
        click.echo(piece.encode(), nl=False)


def show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done:,} of {total:,} rows", err=True, nl=done == total)


def print_result(import_id: int) -> None:
    """Print the rejected rows and the totals; raises ClickException when the import failed."""
    import_ = db.session.get_one(ClientImport, import_id)
    if import_.state is not ImportState.FINISHED:
        raise click.ClickException(explain_failure(import_.error) or "The import did not finish.")
    rejections = select(ImportRejection).where(ImportRejection.import_id == import_id)
    for rejection in db.session.scalars(
        rejections.order_by(ImportRejection.id).execution_options(yield_per=500)
    ):
        text = " ".join(rejection.value.split())[:100]
        click.echo(f"line {rejection.line}: {explain_rejection(rejection.reason)} [{text}]")
    click.echo(
        f"rows {import_.rows_done}, new {import_.created}, updated {import_.updated}, "
        f"rejected {import_.rejected}"
        + (f", suppressed {import_.suppressed}" if import_.suppressed else "")
        + (f", skipped {import_.left_out}" if import_.left_out else "")
    )
