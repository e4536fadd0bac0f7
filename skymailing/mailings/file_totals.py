"""Say how much data the attachments of a mailing amount to, before it is started."""

from dataclasses import dataclass

from skymailing.delivery.run_files import ENCODED_RATIO
from skymailing.messages.files import list_files
from skymailing.models import Message


@dataclass(frozen=True, slots=True)
class FileTotal:
    """The files of each letter, their size in it, and the number of letters, if it is known."""

    names: list[str]
    size: int
    letters: int | None

    @property
    def total(self) -> int | None:
        return None if self.letters is None else self.size * self.letters


def find_total(message: Message | None, letters: int | None) -> FileTotal | None:
    """Return the total of a mailing with this message; None if it has no files."""
    if not (files := list_files(message)):
        return None
    size = round(sum(file.file.size for file in files) * ENCODED_RATIO)
    return FileTotal([file.name for file in files], size, letters)
