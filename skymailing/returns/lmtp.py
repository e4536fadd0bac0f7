"""A listener for returned mail over LMTP (RFC 2033): one process for many letters, unlike a pipe.

It answers 250 only after a letter has been stored and committed; otherwise the mail server keeps the letter.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session

from skymailing.returns import letter

logger = logging.getLogger(__name__)

MAX_LETTER = 10 * 1024 * 1024  # bytes; each is held in memory while it arrives
MAX_LINE = 64 * 1024
TIMEOUT = 60  # seconds in which a session says nothing
STORED = "250 2.0.0 stored"
TRY_AGAIN = "451 4.3.0 not stored, try again later"

# Stores a letter for good, or raises any error.
Store = Callable[[bytes, letter.Envelope], None]


class Listener(LMTP):
    """Lines of letters are longer than the library expects of commands."""

    line_length_limit = MAX_LINE


class StoringHandler:
    """The hook that aiosmtpd calls for each letter."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # One at a time, as the database would let them wait for each other.
        self._thread = ThreadPoolExecutor(1, "lmtp")

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: LMTP, _session: Session, envelope: Envelope
    ) -> str:
        raw = envelope.original_content or b""
        handed = letter.Envelope(envelope.mail_from or "", tuple(envelope.rcpt_tos))
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store, raw, handed)
        except Exception:  # any other answer would make the mail server give up the letter
            logger.exception("A returned letter was not stored; the mail server should try again")
            reply = TRY_AGAIN
        else:
            reply = STORED
        # LMTP has a reply for each recipient.
        return "\r\n".join([reply] * len(envelope.rcpt_tos))


async def listen(host: str, port: int, store: Store) -> asyncio.Server:
    """Start to listen in the running loop; raises OSError."""
    loop = asyncio.get_running_loop()
    handler = StoringHandler(store)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd logs every command
    return await loop.create_server(
        lambda: Listener(
            handler,
            data_size_limit=MAX_LETTER,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="SkyMailing returns",
            loop=loop,
            timeout=TIMEOUT,
        ),
        host,
        port,
    )
