"""Attach files to transactional letters: those of their message, and those that a program sends."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from skymailing.extensions import db
from skymailing.messages.files import NewFile, store_content
from skymailing.models import LetterFile, MessageFile


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a letter; without `content`, it is already stored."""

    name: str
    content_type: str
    digest: str
    size: int  # bytes
    file_id: int | None = None
    content: bytes = b""

    @classmethod
    def of_message(cls, file: MessageFile) -> Self:
        """Return a file of the letter's message."""
        return cls(file.name, file.content_type, file.file.digest, file.file.size, file.file_id)

    @classmethod
    def of_program(cls, file: NewFile) -> Self:
        """Return a file that the program sent."""
        digest = hashlib.sha256(file.content).hexdigest()
        return cls(file.name, file.content_type, digest, len(file.content), content=file.content)


def digest_with_files(digest: str, files: Sequence[Attachment]) -> str:
    """Return a digest that is the same only for equal contents with equal files."""
    if not files:
        return digest
    parts = [digest, *(part for file in files for part in (file.digest, file.name, file.content_type))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def add_files(owner_id: int, content_id: int, files: Sequence[Attachment], now: datetime) -> None:
    """Store the files of new content; raises LimitReached if the owner has no room for them."""
    for position, file in enumerate(files):
        file_id = file.file_id or store_content(owner_id, file.content, now)
        db.session.add(
            LetterFile(
                content_id=content_id,
                position=position,
                file_id=file_id,
                name=file.name,
                content_type=file.content_type,
            )
        )
    db.session.flush()
