"""Read a mailbox over POP3: letters are deleted when the session ends, after they have been stored."""

import poplib
from collections.abc import Iterator

from skymailing.returns.mailbox.base import TIMEOUT, make_context, name_faults
from skymailing.returns.reader import MAX_READ
from skymailing.settings.returned_mail import MailboxAddress

# Per letter, because POP3 can limit lines but not bytes.
MAX_LINES = 5000
# By default, the library rejects lines of more than 2,048 bytes, which occur in letters.
poplib._MAXLINE = MAX_READ  # type: ignore[attr-defined]


class Pop3Mailbox:
    """See `Mailbox`; letters are named by their numbers, which stay the same during a session."""

    def __init__(self, address: MailboxAddress) -> None:
        with name_faults(poplib.error_proto):
            self._pop = poplib.POP3_SSL(address.host, address.port, timeout=TIMEOUT, context=make_context())
            try:
                self._pop.user(address.username)
                self._pop.pass_(address.password)
                self._count = self._pop.stat()[0]
            except BaseException:  # including a stop or a job's timeout: no connection may remain open
                self._pop.close()
                raise
        self._filed = 0

    def list_letters(self, first: int, count: int) -> list[str]:
        start = first + self._filed
        return [str(number) for number in range(start + 1, min(self._count, start + count) + 1)]

    def read(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            with name_faults(poplib.error_proto):
                lines = self._pop.top(name, MAX_LINES)[1]
            yield name, b"\r\n".join(lines)[:MAX_READ] + b"\r\n"

    def file(self, names: list[str], is_understood: bool) -> None:  # noqa: ARG002 - there are no folders
        with name_faults(poplib.error_proto):
            for name in names:
                self._pop.dele(name)
        self._filed += len(names)

    def close(self) -> None:
        with name_faults(poplib.error_proto):
            try:
                self._pop.quit()
            finally:
                self._pop.close()
