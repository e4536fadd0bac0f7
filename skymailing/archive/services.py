"""Publish letters in their owner's archive, and remove them from it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from skymailing.archive import queries
from skymailing.archive.neutral import Neutral, render_neutral
from skymailing.brand.queries import find_brand
from skymailing.db.engine import execute_counting, insert_into
from skymailing.delivery.rendering.letter import Content
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import OPEN_RUN_STATES, Archive, ArchiveEntry, Run, RunState, RunVariant, User
from skymailing.quotas.checks import require_room
from skymailing.quotas.locking import lock_owner
from skymailing.web.slugs import SLUG, find_free, make_slug

MAX_ENTRIES = 500  # per owner
MAX_PAGE = 500_000  # characters


class ArchiveError(UserError):
    """A letter cannot be published as requested; `field` is the form field at fault."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(code)
        self.field = field


@dataclass(frozen=True, slots=True)
class EntryValues:
    """An owner's choices for a published letter; an empty slug is made from its title."""

    slug: str = ""
    is_indexed: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """The data from which a run's letter is rendered."""

    content: Content
    sender_name: str
    sent_at: datetime
    formats: ValueFormats

    def render(self) -> Neutral:
        """Render the letter without any client's data; raises TemplateError. Keep no transaction open."""
        return render_neutral(self.content, self.sender_name, self.sent_at, self.formats)


def find_obstacle(run: Run) -> ArchiveError | None:
    """Return why a run cannot be published."""
    if run.mailing.is_disabled:
        return ArchiveError("archive_disabled")
    if run.state is RunState.SKIPPED:
        return ArchiveError("archive_not_sent")
    if run.details_removed_at is not None:
        return ArchiveError("archive_no_text")
    if run.is_testing and run.state in OPEN_RUN_STATES:
        # The entry is rendered once, and most clients will get the winner.
        return ArchiveError("archive_testing")
    return None


def read_source(run: Run) -> Source:
    """Return the data for rendering the run's letter; raises ArchiveError if it cannot be published.

    For an A/B test, this is the winner, or variant A if the mailing ended before the decision.
    """
    if obstacle := find_obstacle(run):
        raise obstacle
    sent = db.session.get(RunVariant, (run.id, run.winner)) or run if run.winner else run
    return Source(Content.of(sent), sent.sender_name, run.started_at, ValueFormats.of(run.mailing.owner))


def publish(run: Run, letter: Neutral, values: EntryValues) -> ArchiveEntry:
    """Publish a run's letter, or change it if already published. Raises ArchiveError and LimitReached."""
    owner = run.mailing.owner
    lock_owner(owner.id)
    if entry := queries.find_entry(run.id):
        change_entry(entry, values)
        return entry
    if len(letter.html) > MAX_PAGE:
        raise ArchiveError("archive_too_long")
    require_room("archive_limit", queries.select_entries(owner.id), MAX_ENTRIES)
    _create_archive(owner)
    entry = ArchiveEntry(
        owner_id=owner.id,
        mailing_id=run.mailing_id,
        run_id=run.id,
        slug=_choose_slug(owner.id, values.slug or make_slug(letter.title, "email"), values),
        title=letter.title,
        summary=letter.summary,
        html=letter.html,
        is_indexed=values.is_indexed,
        sent_at=run.started_at,
    )
    db.session.add(entry)
    db.session.flush()
    return entry


def change_entry(entry: ArchiveEntry, values: EntryValues) -> None:
    """Change the address of a published letter, and whether search engines may list it.

    Raises ArchiveError.
    """
    lock_owner(entry.owner_id)
    if values.slug and values.slug != entry.slug:
        entry.slug = _choose_slug(entry.owner_id, values.slug, values)
    entry.is_indexed = values.is_indexed
    db.session.flush()


def unpublish(entry: ArchiveEntry) -> None:
    """Remove a letter from the archive; it can be published again while its run keeps its text."""
    db.session.delete(entry)
    db.session.flush()


def move_archive(archive: Archive, slug: str) -> None:
    """Change the archive's address; the old address stops working. Raises ArchiveError."""
    _check_format(slug)
    try:
        with db.session.begin_nested():
            archive.slug = slug
    except IntegrityError as error:
        raise ArchiveError("archive_address_taken", "slug") from error


def _create_archive(owner: User) -> None:
    """Create the owner's archive, if there is none, with an address made from the owner's name."""
    slug = make_slug(find_brand(owner).name, f"archive-{owner.id}")
    while queries.find_archive(owner.id) is None:
        free = find_free(slug, queries.is_address_taken)
        # Another owner may take the address concurrently.
        execute_counting(insert_into(Archive).values(owner_id=owner.id, slug=free).on_conflict_do_nothing())


def _choose_slug(owner_id: int, slug: str, values: EntryValues) -> str:
    """Return the slug, with a number if it is taken and the owner did not choose it."""
    _check_format(slug)
    taken = queries.read_slugs(owner_id)
    if values.slug and slug in taken:
        raise ArchiveError("archive_address_taken", "slug")
    return find_free(slug, taken.__contains__)


def _check_format(slug: str) -> None:
    if not SLUG.fullmatch(slug):
        raise ArchiveError("archive_address_format", "slug")
