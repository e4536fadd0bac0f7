"""flask bounces: process returned mail from a pipe, LMTP or the mailbox, and list it."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.logs import output
from skymailing.mailings.log_queries import format_time
from skymailing.returns.arrivals import Arrival
from skymailing.returns.letter import Envelope
from skymailing.returns.queries import list_letters, list_reports
from skymailing.returns.reader import MAX_READ
from skymailing.returns.services import ingest_letters
from skymailing.returns.tasks import ingest_batches, read_mailbox
from skymailing.settings.returned_mail import returned_mail_settings

# sysexits.h: Postfix and Exim keep the letter in their queue, and try again.
TRY_AGAIN = 75
PIECE = 64 * 1024

bounces = AppGroup("bounces", help="Process returned mail, and list it.")


@bounces.command("ingest")
@click.option("--sender", help="The envelope sender, as in Postfix's ${sender}; may be empty.")
@click.option("--recipient", help="The envelope recipient, as in Postfix's ${original_recipient}.")
def ingest(sender: str | None, recipient: str | None) -> None:
    """Read a returned letter from standard input, as a mail server pipes it."""
    raw = read_letter(sys.stdin.buffer)
    envelope = Envelope(sender, (recipient,) if recipient else ())
    try:
        [letter] = ingest_letters([Arrival.read(raw, "pipe", envelope)], utcnow())
        db.session.commit()
    except SQLAlchemyError as error:
        db.session.rollback()
        click.echo(f"The letter was not stored; the mail server should try again: {error}", err=True)
        sys.exit(TRY_AGAIN)
    click.echo(f"{letter.id} {letter.state}")


def read_letter(stream: BinaryIO) -> bytes:
    """Return the beginning of the letter; read it to its end, as mail servers expect."""
    raw = stream.read(MAX_READ)
    while stream.read(PIECE):
        pass
    return raw


@bounces.command("read")
def read() -> None:
    """Read the mailbox for returned mail (RETURN_MAILBOX) now, until it is empty."""
    if returned_mail_settings().mailbox is None:
        raise click.ClickException("RETURN_MAILBOX is not set.")
    reading = read_mailbox(lambda _seconds: False)
    click.echo(f"{reading.understood} understood, {reading.unclear} unclear, {reading.skipped} skipped")
    if reading.fault:
        raise click.ClickException(reading.fault)


@bounces.command("listen")
@click.option("--host", default="127.0.0.1", show_default=True, help="Must not be reachable by strangers.")
@click.option("--port", default=2424, show_default=True)
def listen(host: str, port: int) -> None:
    """Accept returned letters over LMTP, until SIGTERM."""
    output.install(current_app.config)
    try:
        asyncio.run(_serve(host, port, current_app._get_current_object()))  # type: ignore[attr-defined]
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}") from error


async def _serve(host: str, port: int, app: Flask) -> None:
    from skymailing.returns import lmtp  # only this command needs aiosmtpd

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await lmtp.listen(host, port, make_store(app))
    click.echo(f"Listening for returned letters on {host}:{port}")
    await stop.wait()
    server.close()


def make_store(app: Flask) -> Callable[[Sequence[tuple[bytes, Envelope]]], list[bool]]:
    """Return a function that stores and commits letters in any thread, and returns which were stored."""

    def store(letters: Sequence[tuple[bytes, Envelope]]) -> list[bool]:
        with app.app_context():
            arrivals = [Arrival.read(raw, "lmtp", envelope) for raw, envelope in letters]
            return [stored is not None for stored in ingest_batches(arrivals, utcnow())]

    return store


@bounces.command("list")
@click.option("--unclear", is_flag=True, help="Only letters that await a decision.")
@click.option("--limit", default=50, show_default=True, help="The number of letters to list, newest first.")
def list_bounces(unclear: bool, limit: int) -> None:
    """List returned letters and what they report."""
    letters = list_letters(unclear, limit)
    reports = list_reports([letter.id for letter, _ in letters])
    for letter, owner in letters:
        click.echo(f"{letter.id}\t{format_time(letter.received_at)}\t{letter.state}\t{owner or '-'}")
        for bounce in reports.get(letter.id, []):
            text = f"{bounce.status} {bounce.diagnostic}".strip()[:200]
            click.echo(f"\t{bounce.email_key}\t{bounce.kind}\t{bounce.proof}\t{text}")
