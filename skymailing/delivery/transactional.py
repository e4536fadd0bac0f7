"""Load the contents of transactional letters, and cache their compiled templates."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, select

from skymailing.db.engine import reading_engine
from skymailing.delivery.rendering.attachments import AttachedFile
from skymailing.delivery.rendering.content import Content, TemplateError
from skymailing.delivery.rendering.letter import CompiledContent, Recipient
from skymailing.delivery.rendering.transactional import (
    TransactionalTemplate,
    make_content,
    make_letter_values,
)
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.models import (
    LetterContent,
    LetterFile,
    MessageFormat,
    StoredFile,
    TransactionalLetter,
)

# Limits of each worker's cache.
MAX_TEMPLATES = 64
MAX_FILE_BYTES = 32 * 1024 * 1024  # total size of the templates' encoded files


def load_contents(ids: Collection[int], *, with_files: bool) -> dict[int, Content]:
    """Return the contents with these IDs, by ID."""
    if not ids:
        return {}
    columns = (LetterContent.id, LetterContent.subject, LetterContent.format, LetterContent.body)
    statement = select(*columns, LetterContent.language).where(LetterContent.id.in_(ids))
    with reading_engine().connect() as connection:
        contents = {row[0]: make_content(*row[1:]) for row in connection.execute(statement).tuples()}
        if not with_files:
            return contents
        return {id: replace(content, files=_load_files(connection, id)) for id, content in contents.items()}


def _load_files(connection: Connection, content_id: int) -> tuple[AttachedFile, ...]:
    statement = (
        select(LetterFile.name, LetterFile.content_type, StoredFile.content)
        .join(StoredFile, StoredFile.id == LetterFile.file_id)
        .where(LetterFile.content_id == content_id)
        .order_by(LetterFile.position)
    )
    return tuple(AttachedFile(*row) for row in connection.execute(statement).tuples())


def fill_subject(letter: TransactionalLetter, formats: ValueFormats) -> str:
    """Return a letter's subject as its recipient sees it; if that fails, return the template of the subject.

    A placeholder for the sender's name stays empty, because only the letter's run has the name.
    """
    content = letter.content
    if "{" not in content.subject:
        return content.subject
    recipient = Recipient(letter.delivery.email, letter.name, letter.values)
    try:
        compiled = CompiledContent(
            make_content(content.subject, MessageFormat.TEXT, "", content.language), formats
        )
        return compiled.fill_subject(make_letter_values(recipient, "", compiled.readers))
    except TemplateError:
        return content.subject


class TemplateCache:
    """A cache of the templates that a worker used most recently.

    A template belongs to a run, because it contains the run's sender.
    """

    def __init__(self) -> None:
        self._templates: OrderedDict[tuple[int, int | None], TransactionalTemplate] = OrderedDict()
        self._file_bytes = 0

    def find(self, run_id: int, content_id: int | None) -> TransactionalTemplate | None:
        """Return a cached template, and mark it as the most recently used one."""
        key = run_id, content_id
        if key not in self._templates:
            return None
        self._templates.move_to_end(key)
        return self._templates[key]

    def add(self, run_id: int, content_id: int, template: TransactionalTemplate) -> None:
        """Cache a template, and evict the least recently used ones until the limits are met."""
        self._templates[run_id, content_id] = template
        self._file_bytes += len(template.tail.content)
        while len(self._templates) > MAX_TEMPLATES or self._file_bytes > MAX_FILE_BYTES:
            _key, oldest = self._templates.popitem(last=False)
            self._file_bytes -= len(oldest.tail.content)
