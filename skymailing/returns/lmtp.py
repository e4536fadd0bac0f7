"""Accept returned mail over LMTP (RFC 2033): one process handles many letters, unlike a pipe.

The listener replies 250 only after a letter has been committed; otherwise the mail server keeps the letter.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session

from skymailing.returns import letter

logger = logging.getLogger(__name__)

MAX_LETTER = 10 * 1024 * 1024  # bytes; a letter is kept in memory while it arrives
MAX_LINE = 64 * 1024
BATCH = 50  # letters that are stored together
TIMEOUT = 60  # seconds without input after which a session ends
STORED_REPLY = "250 2.0.0 stored"
TRY_AGAIN = "451 4.3.0 not stored, try again later"

# A letter and its envelope.
IncomingLetter = tuple[bytes, letter.Envelope]
# Commits letters, and returns which of them were stored; raises an error if none was.
Store = Callable[[Sequence[IncomingLetter]], list[bool]]


class Listener(LMTP):
    """Raise the library's line limit: letters have longer lines than commands."""

    line_length_limit = MAX_LINE


class StoringHandler:
    """The hook that aiosmtpd calls for each letter.

    Letters that arrive while others are being stored are stored together, so that many sessions need few
    transactions. A single thread stores them: several threads would only wait for each other in the database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "lmtp")
        self._waiting: list[tuple[IncomingLetter, asyncio.Future[bool]]] = []
        self._storing: asyncio.Task[None] | None = None

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: LMTP, _session: Session, envelope: Envelope
    ) -> str:
        is_stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        addresses = letter.Envelope(envelope.mail_from or "", tuple(envelope.rcpt_tos))
        self._waiting.append(((envelope.original_content or b"", addresses), is_stored))
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_waiting())
        reply = STORED_REPLY if await is_stored else TRY_AGAIN
        # LMTP has a reply for each recipient.
        return "\r\n".join([reply] * len(envelope.rcpt_tos))

    async def _store_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            letters = [incoming for incoming, _ in batch]
            try:
                run = asyncio.get_running_loop().run_in_executor
                results = await run(self._thread, self._store, letters)
            except Exception:  # any other reply would make the mail server give up on the letter
                logger.exception("Returned letters were not stored; the mail server should try again")
                results = [False] * len(batch)
            for (_, is_stored), result in zip(batch, results, strict=True):
                if not is_stored.done():  # its session may have ended
                    is_stored.set_result(result)


async def listen(host: str, port: int, store: Store) -> asyncio.Server:
    """Start listening in the running event loop; raises OSError."""
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
