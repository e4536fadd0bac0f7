"""Check and store the contents of transactional letters."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, select, update

from skymailing.db.engine import insert_into
from skymailing.delivery.rendering.content import Content, check_length
from skymailing.delivery.rendering.letter import CompiledContent, Recipient
from skymailing.delivery.rendering.transactional import find_links, make_letter_values
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.letters.files import Attachment, add_files, digest_with_files
from skymailing.letters.needs import Path, find_missing, find_needed
from skymailing.models import LetterContent

MAX_MISSING = 100  # places in one error
CONTENTS_KEPT = 64  # compiled contents per process
USED_PRECISION = timedelta(hours=1)


class LetterError(UserError):
    """A transactional letter cannot be accepted."""


@dataclass(frozen=True)
class CheckedContent:
    """A content that can be sent: its digest, its compiled form, and the values that it needs."""

    content: Content
    digest: str
    compiled: CompiledContent
    formats: ValueFormats
    needed: frozenset[Path] = field(default_factory=frozenset)

    def find_missing(self, recipient: Recipient, sender_name: str) -> list[Path]:
        """Return the places without a value of placeholders that have no fallback."""
        values = make_letter_values(recipient, sender_name, self.compiled.readers)
        return sorted(set(islice(find_missing(self.needed, values), MAX_MISSING)))

    def render(self, recipient: Recipient, sender_name: str) -> None:
        """Render the letter as a worker will; raises TemplateError."""
        self.compiled.render(make_letter_values(recipient, sender_name, self.compiled.readers))


class CheckedContents:
    """A cache of the contents used most recently, because parsing takes most of the time of a request."""

    def __init__(self) -> None:
        self._contents: OrderedDict[str, CheckedContent] = OrderedDict()
        self._lock = Lock()

    def check(self, content: Content, formats: ValueFormats) -> CheckedContent:
        """Return the compiled content; raises TemplateError or LetterError."""
        key = digest_of(content)
        with self._lock:
            found = self._contents.get(key)
        if found is None or found.formats != formats:
            found = check_content(content, key, formats)
        with self._lock:
            self._contents[key] = found
            self._contents.move_to_end(key)
            while len(self._contents) > CONTENTS_KEPT:
                self._contents.popitem(last=False)
        return found


CHECKED = CheckedContents()


def check_content(content: Content, digest: str, formats: ValueFormats) -> CheckedContent:
    """Compile the content; raises TemplateError, and LetterError if it has links that letters lack."""
    check_length(content.body, content.format)
    compiled = CompiledContent(content, formats)
    if links := find_links(content):
        raise LetterError("letter_has_list_links", names=", ".join(links))
    return CheckedContent(content, digest, compiled, formats, find_needed(content))


def digest_of(content: Content) -> str:
    """Return a digest that is the same only for equal contents."""
    parts = (content.subject, content.format.value, content.language, content.body)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def store_content(owner_id: int, checked: CheckedContent, files: Sequence[Attachment], now: datetime) -> int:
    """Return the ID of the stored content, which all letters of the owner with this content share.

    Raises LimitReached if the owner has no room for the files.
    """
    digest = digest_with_files(checked.digest, files)
    same = _is_content(owner_id, digest)
    # Locked, so that retention does not remove it before the letter is stored.
    statement = select(LetterContent.id, LetterContent.used_at).where(same)
    found = db.session.execute(statement.with_for_update(read=True, key_share=True)).one_or_none()
    if found is None:
        return _add_content(owner_id, digest, checked.content, files, now)
    if found.used_at < now - USED_PRECISION:
        used = update(LetterContent).where(LetterContent.id == found.id).values(used_at=now)
        db.session.execute(used, execution_options={"synchronize_session": False})
    return int(found.id)


def _is_content(owner_id: int, digest: str) -> ColumnElement[bool]:
    return (LetterContent.owner_id == owner_id) & (LetterContent.digest == digest)


def _add_content(
    owner_id: int, digest: str, content: Content, files: Sequence[Attachment], now: datetime
) -> int:
    values: Mapping[str, Any] = {
        "owner_id": owner_id,
        "digest": digest,
        "used_at": now,
        "body": content.body,
        "subject": content.subject,
        "format": content.format,
        "language": content.language,
    }
    insert = insert_into(LetterContent).values(values).on_conflict_do_nothing()
    added = db.session.execute(insert.returning(LetterContent.id)).scalar_one_or_none()
    if added is None:  # another request has just added it
        return int(db.session.scalars(select(LetterContent.id).where(_is_content(owner_id, digest))).one())
    add_files(owner_id, added, files, now)
    return int(added)
