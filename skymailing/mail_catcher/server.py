"""Run the mail catcher's SMTP server, which stores every letter instead of sending it."""

import asyncio
import logging
import signal
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from skymailing.mail_catcher.store import LetterStore

ADDRESS = "127.0.0.1"  # not reachable from other hosts
BACKLOG = 1000

logger = logging.getLogger(__name__)


class CatchingHandler:
    """Hooks that aiosmtpd calls for SMTP commands."""

    def __init__(self, store: LetterStore) -> None:
        self._store = store

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # aiosmtpd supports RFC 2920 without announcing it: it buffers commands that arrive together.
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self._store.save(envelope.mail_from or "", recipient, content)
        return "250 2.0.0 stored"


def serve(port: int, directory: Path) -> None:
    """Run the server until SIGTERM or SIGINT; raises OSError if the port is in use."""
    store = LetterStore(directory)
    store.prepare()
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd logs every command
    asyncio.run(_serve(port, CatchingHandler(store)))


async def _serve(port: int, handler: CatchingHandler) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(
        lambda: SMTP(
            handler, hostname="localhost", ident="SkyMailing catcher", enable_SMTPUTF8=True, loop=loop
        ),
        ADDRESS,
        port,
        backlog=BACKLOG,
    )
    logger.info("catching letters on %s:%d", ADDRESS, port)
    await stop.wait()
    server.close()
