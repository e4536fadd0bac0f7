"""Attach the files of messages to a run, and read them for its letters."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.rendering.attachments import AttachedFile
from skymailing.delivery.smtp.pipeline import SLOWEST
from skymailing.delivery.variants.contents import list_variants
from skymailing.models import Mailing, MessageFile, Run, RunFile, RunState, StoredFile

# A file is a third longer in a letter: four characters for three bytes, and line endings.
ENCODED_RATIO = 4 / 3 * 78 / 76


def plan_files(session: Session, run: Run, mailing: Mailing) -> list[RunFile]:
    """Return the files of a new run, which is not stored yet; set its state and their total size."""
    messages = {0: mailing.message_id}
    if run.test_ends_at is not None:
        messages = {1: mailing.message_id}
        for variant in list_variants(session, mailing.id):
            messages[variant.number] = variant.message_id or mailing.message_id
    found = list_message_files(session, set(messages.values()))
    sizes = [sum(file.file.size for file in files) for files in found.values()]
    run.file_bytes = max(sizes, default=0)
    if run.file_bytes and not mailing.is_caught:
        run.state = RunState.ATTACHED
    return [
        RunFile(
            variant=number,
            position=position,
            file_id=file.file_id,
            name=file.name,
            content_type=file.content_type,
        )
        for number, message_id in messages.items()
        for position, file in enumerate(found.get(message_id, ()))
    ]


def add_files(session: Session, run: Run, files: Iterable[RunFile]) -> None:
    """Store the files of a run that has already been stored."""
    for file in files:
        file.run_id = run.id
        session.add(file)


def list_message_files(session: Session, message_ids: set[int]) -> Mapping[int, list[MessageFile]]:
    """Return the files of messages, by message ID."""
    files: dict[int, list[MessageFile]] = {}
    statement = select(MessageFile).where(MessageFile.message_id.in_(message_ids)).order_by(MessageFile.id)
    for file in session.scalars(statement):
        assert file.message_id is not None
        files.setdefault(file.message_id, []).append(file)
    return files


def read_message_files(session: Session, message_id: int) -> tuple[AttachedFile, ...]:
    """Return the files of a message with their contents."""
    files = list_message_files(session, {message_id}).get(message_id, [])
    return tuple(AttachedFile(file.name, file.content_type, file.file.content) for file in files)


def load_files(run_id: int, variant: int) -> tuple[AttachedFile, ...]:
    """Return the files of a run's letters, or of a variant's letters, with contents."""
    statement = (
        select(RunFile.name, RunFile.content_type, StoredFile.content)
        .join(StoredFile, StoredFile.id == RunFile.file_id)
        .where(RunFile.run_id == run_id, RunFile.variant == variant)
        .order_by(RunFile.position)
    )
    with reading_engine().connect() as connection:
        return tuple(AttachedFile(*row) for row in connection.execute(statement).tuples())


def remove_files(session: Session, run_id: int) -> None:
    """Remove the files of a run that will not be sent again."""
    session.execute(delete(RunFile).where(RunFile.run_id == run_id))


def estimate_slowest(file_bytes: int) -> timedelta:
    """Return how much longer a letter with files may take than one without."""
    return timedelta(seconds=file_bytes * ENCODED_RATIO / SLOWEST)
