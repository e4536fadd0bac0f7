"""Read a mailbox over IMAP: letters are moved to other folders, and never deleted."""

import imaplib
import re
from collections.abc import Iterator
from typing import Any

from skymailing.returns.mailbox.base import TIMEOUT, MailboxFault, make_context, name_faults
from skymailing.returns.reader import MAX_READ
from skymailing.settings.returned_mail import MailboxAddress

UNDERSTOOD_FOLDER = "Processed"
UNCLEAR_FOLDER = "Not understood"
UID = re.compile(rb"\bUID (\d+)")
SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
MAX_PAGE = 4 * MAX_READ  # bytes read at once
DELIMITER = re.compile(rb'\([^)]*\) (?:"(.)"|NIL)')


class ImapMailbox:
    """See `Mailbox`; letters are named by their UIDs."""

    def __init__(self, address: MailboxAddress) -> None:
        with name_faults(imaplib.IMAP4.error):
            self._imap = imaplib.IMAP4_SSL(
                address.host, address.port, ssl_context=make_context(), timeout=TIMEOUT
            )
            try:
                self._imap.login(address.username, address.password)
                found = self._check(self._imap.select(_quote(address.folder)))
                self._count = int(found[0] or 0)
                # Capabilities can change after sign-in, but the library keeps the earlier ones.
                offers = b" ".join(self._check(self._imap.capability())).upper().split()
                self._can_move = b"MOVE" in offers
                if not self._can_move and b"UIDPLUS" not in offers:
                    raise MailboxFault("The server cannot move letters: it offers neither MOVE nor UIDPLUS.")
                self._folders = [self._find_folder(name) for name in (UNCLEAR_FOLDER, UNDERSTOOD_FOLDER)]
            except BaseException:  # including a stop or a job's timeout: no connection may remain open
                self._imap.shutdown()
                raise

    def list_letters(self, first: int, count: int) -> list[str]:
        last = min(self._count, first + count)
        if last <= first:
            return []
        with name_faults(imaplib.IMAP4.error):
            found = self._check(self._imap.fetch(f"{first + 1}:{last}", "(UID RFC822.SIZE)"))
        names, total = [], 0
        for line in filter(None, found):  # [None] if the letters have been removed since
            uid, size = UID.search(line), SIZE.search(line)
            if uid and size and total < MAX_PAGE:
                names.append(uid[1].decode())
                total += min(int(size[1]), MAX_READ)
        return names

    def read(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        with name_faults(imaplib.IMAP4.error):
            parts = self._check(self._imap.uid("FETCH", ",".join(names), f"(BODY.PEEK[]<0.{MAX_READ}>)"))
        # A letter is a pair of its preamble and its text; the rest of its response follows as bytes.
        for part, following in zip(parts, [*parts[1:], b""], strict=True):
            if isinstance(part, tuple):
                uid = UID.search(part[0]) or (isinstance(following, bytes) and UID.search(following))
                if uid:
                    yield uid[1].decode(), bytes(part[1])

    def file(self, names: list[str], is_understood: bool) -> None:
        folder, letters = _quote(self._folders[is_understood]), ",".join(names)
        with name_faults(imaplib.IMAP4.error):
            if self._can_move:
                self._check(self._imap.uid("MOVE", letters, folder))
            else:
                self._check(self._imap.uid("COPY", letters, folder))
                self._check(self._imap.uid("STORE", letters, "+FLAGS.SILENT", r"(\Deleted)"))
                self._check(self._imap.uid("EXPUNGE", letters))
        self._count -= len(names)

    def close(self) -> None:
        with name_faults(imaplib.IMAP4.error):
            try:
                self._imap.logout()
            except BaseException:  # including a stop or a job's timeout: no connection may remain open
                self._imap.shutdown()
                raise

    def _find_folder(self, name: str) -> str:
        """Create the folder and return its name; some servers allow folders only below INBOX."""
        found = DELIMITER.search(bytes(self._check(self._imap.list('""', '""'))[0] or b""))
        delimiter = found[1].decode() if found and found[1] else "."
        names = (name, f"INBOX{delimiter}{name}")
        for known in names:
            if any(self._check(self._imap.list('""', _quote(known)))):
                return known
        for new in names:
            if self._imap.create(_quote(new))[0] == "OK":
                return new
        raise MailboxFault(f"The folder {name!r} cannot be created.")

    def _check(self, response: tuple[str, Any]) -> list[Any]:
        status, data = response
        if status != "OK":
            raise imaplib.IMAP4.error(*data)
        return list(data)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
