"""Read archives and their published letters, for visitors and for their owners."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import joinedload, undefer

from skymailing.db.pagination import Order, Page, paginate
from skymailing.delivery.eligibility import is_allowed
from skymailing.extensions import db
from skymailing.models import Archive, ArchiveEntry, Mailing, Run, User

PER_PAGE = 20  # letters on a page of the public list
NEWEST_FIRST: Order = [(ArchiveEntry.sent_at, True), (ArchiveEntry.id, True)]


@dataclass(frozen=True, slots=True)
class PublicList:
    """A page of an archive's public list."""

    entries: Sequence[ArchiveEntry]
    pages: int
    is_indexed: bool  # whether search engines may list any entry


def find_archive(owner_id: int) -> Archive | None:
    """Return the owner's archive; None if nothing has ever been published."""
    return db.session.get(Archive, owner_id)


def is_address_taken(slug: str) -> bool:
    """Return whether an archive has this address."""
    return db.session.scalar(select(Archive.owner_id).where(Archive.slug == slug)) is not None


# --- For visitors -----------------------------------------------------------------------------


def find_public_archive(slug: str) -> Archive | None:
    """Return the archive with this address; None if it has no public letters."""
    found = select(Archive).where(Archive.slug == slug).options(joinedload(Archive.owner))
    archive = db.session.scalar(found)
    if archive is None or not db.session.scalar(_select_public(archive.owner_id).limit(1)):
        return None
    return archive


def list_public(owner_id: int, page: int) -> PublicList:
    """Return one page of an archive, newest letters first."""
    public = _select_public(owner_id)
    counts = public.with_only_columns(func.count(), func.count().filter(ArchiveEntry.is_indexed))
    total, indexed = db.session.execute(counts).one()
    entries = _order(public).offset((page - 1) * PER_PAGE).limit(PER_PAGE)
    return PublicList(db.session.scalars(entries).all(), max(1, -(-total // PER_PAGE)), indexed > 0)


def list_newest(owner_id: int, count: int) -> Sequence[ArchiveEntry]:
    """Return the newest public letters of an archive."""
    return db.session.scalars(_order(_select_public(owner_id)).limit(count)).all()


def find_public_entry(archive_slug: str, slug: str) -> tuple[Archive, ArchiveEntry] | None:
    """Return a public letter with its page, and its archive."""
    found = (
        select(Archive, ArchiveEntry)
        .join(ArchiveEntry, ArchiveEntry.owner_id == Archive.owner_id)
        .join(Mailing, Mailing.id == ArchiveEntry.mailing_id)
        .join(User, User.id == Archive.owner_id)
        .where(Archive.slug == archive_slug, ArchiveEntry.slug == slug, is_public())
        .options(undefer(ArchiveEntry.html), joinedload(Archive.owner))
    )
    return db.session.execute(found).tuples().one_or_none()


def list_indexed(count: int) -> Sequence[tuple[str, str, datetime]]:
    """Return the two slugs and the last change of the letters that search engines may list, newest first."""
    found = (
        select(Archive.slug, ArchiveEntry.slug, ArchiveEntry.updated_at)
        .join(ArchiveEntry, ArchiveEntry.owner_id == Archive.owner_id)
        .join(Mailing, Mailing.id == ArchiveEntry.mailing_id)
        .join(User, User.id == Archive.owner_id)
        .where(ArchiveEntry.is_indexed, is_public())
        .order_by(ArchiveEntry.id.desc())
    )
    return db.session.execute(found.limit(count)).tuples().all()


def is_public() -> ColumnElement[bool]:
    """Return the condition that a letter is visible: its mailing is not disabled, and its owner is active.

    A statement that uses it must join Mailing and User. An account that is about to be deleted is hidden.
    """
    return is_allowed() & User.deletion_at.is_(None)


def _select_public(owner_id: int) -> Select[tuple[ArchiveEntry]]:
    return (
        select(ArchiveEntry)
        .join(Mailing, Mailing.id == ArchiveEntry.mailing_id)
        .join(User, User.id == ArchiveEntry.owner_id)
        .where(ArchiveEntry.owner_id == owner_id, is_public())
    )


def _order(statement: Select[tuple[ArchiveEntry]]) -> Select[tuple[ArchiveEntry]]:
    return statement.order_by(ArchiveEntry.sent_at.desc(), ArchiveEntry.id.desc())


# --- For owners and managers ------------------------------------------------------------------


def select_entries(owner_id: int) -> Select[tuple[ArchiveEntry]]:
    """Select the owner's published letters, including those that are not visible now."""
    return select(ArchiveEntry).where(ArchiveEntry.owner_id == owner_id)


def list_entries(owner_id: int, cursor: str | None) -> Page:
    """Return a page of the owner's published letters with their mailings, newest first."""
    statement = select_entries(owner_id).options(joinedload(ArchiveEntry.mailing))
    return paginate(statement, NEWEST_FIRST, cursor)


def find_own_run(owner_id: int, run_id: int) -> Run | None:
    """Return the run with this ID if it belongs to one of the owner's mailings."""
    condition = (Run.id == run_id) & (Mailing.owner_id == owner_id)
    return db.session.scalar(select(Run).join(Mailing, Mailing.id == Run.mailing_id).where(condition))


def find_entry(run_id: int) -> ArchiveEntry | None:
    """Return a run's published letter, or None."""
    return db.session.scalar(select(ArchiveEntry).where(ArchiveEntry.run_id == run_id))


def list_published(mailing_id: int) -> Sequence[tuple[str, str, str]]:
    """Return the two slugs and the title of a mailing's published letters, visible or not."""
    found = (
        select(Archive.slug, ArchiveEntry.slug, ArchiveEntry.title)
        .join(ArchiveEntry, ArchiveEntry.owner_id == Archive.owner_id)
        .where(ArchiveEntry.mailing_id == mailing_id)
        .order_by(ArchiveEntry.id.desc())
    )
    return db.session.execute(found.limit(PER_PAGE)).tuples().all()


def read_slugs(owner_id: int) -> set[str]:
    """Return the slugs of the owner's published letters."""
    return set(db.session.scalars(select(ArchiveEntry.slug).where(ArchiveEntry.owner_id == owner_id)))
