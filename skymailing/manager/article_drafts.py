"""Drafts of articles: what an author has typed and not saved yet."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, select

from skymailing.db.drafts import begin_revision, restore_unless_taken
from skymailing.db.unique import add_unless_taken
from skymailing.delivery.rendering.content import MAX_BODY
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Article, ArticleDraft

RETENTION = timedelta(days=180)  # after the last change
DISCARDED_RETENTION = timedelta(days=2)
MAX_DRAFTS = 100  # of an author
MAX_FIELD = 1_000  # characters; the text may be longer
# The fields of the form that a draft keeps.
FIELDS = (
    *("title", "slug", "summary", "language", "format", "body", "image_alt", "published_at"),
    *("crop_x", "crop_y", "crop_zoom"),
)


class DraftElsewhere(UserError):
    """Another window has changed this draft since."""

    def __init__(self) -> None:
        super().__init__("article_draft_elsewhere")


class NewerDraft(UserError):
    """The article has another draft, so a discarded one cannot be restored."""

    def __init__(self) -> None:
        super().__init__("article_newer_draft")


class ArticleChanged(UserError):
    """Someone has saved the article since this window opened it."""

    def __init__(self) -> None:
        super().__init__("article_changed")


class TooManyDrafts(UserError):
    """The author has MAX_DRAFTS drafts."""

    def __init__(self) -> None:
        super().__init__("message_too_many_drafts", limit=MAX_DRAFTS)


def clean_fields(typed: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that a draft keeps, without characters that databases do not accept."""
    limits = {name: MAX_BODY if name == "body" else MAX_FIELD for name in FIELDS}
    return {
        name: typed[name].replace("\0", "")[: limits[name]] for name in FIELDS if typed.get(name) is not None
    }


def begin_draft(
    author_id: int, article: Article | None, seen: str, typed: Mapping[str, str], now: datetime
) -> ArticleDraft:
    """Add a draft of an existing article or, if `article` is None, of a new one.

    Raises DraftElsewhere if the author has a draft of this article, ArticleChanged if `seen` is no longer its
    last change, and TooManyDrafts.
    """
    if article is not None and seen and seen != article.updated_at.isoformat():
        raise ArticleChanged
    own = select(func.count()).where(ArticleDraft.author_id == author_id, ArticleDraft.discarded_at.is_(None))
    if (db.session.scalar(own) or 0) >= MAX_DRAFTS:
        raise TooManyDrafts
    draft = ArticleDraft(author_id=author_id, article_id=article.id if article else None, seen=seen[:40])
    draft.fields, draft.saved_at = clean_fields(typed), now
    if not add_unless_taken(draft):
        raise DraftElsewhere
    return draft


def change_draft(
    draft: ArticleDraft, revision: int | None, typed: Mapping[str, str], now: datetime
) -> ArticleDraft:
    """Save the typed fields; raises DraftElsewhere if `revision` is neither current nor None."""
    if not begin_revision(draft, revision):
        raise DraftElsewhere
    draft.fields, draft.saved_at = clean_fields(typed), now
    return draft


def restore_draft(draft: ArticleDraft) -> None:
    """Restore a discarded draft; raises NewerDraft."""
    if not restore_unless_taken(draft):
        raise NewerDraft


def find_own_draft(author_id: int, draft_id: int | None) -> ArticleDraft | None:
    """Return the author's draft, also a discarded one."""
    own = select(ArticleDraft).where(ArticleDraft.author_id == author_id, ArticleDraft.id == draft_id)
    return db.session.scalar(own)


def find_draft(author_id: int, article: Article) -> ArticleDraft | None:
    """Return the author's unsaved changes to an article."""
    return db.session.scalar(_select_drafts(author_id).where(ArticleDraft.article_id == article.id))


def list_new_drafts(author_id: int) -> list[ArticleDraft]:
    """Return the author's drafts of articles that were never saved, the latest first."""
    new = _select_drafts(author_id).where(ArticleDraft.article_id.is_(None))
    return list(db.session.scalars(new.order_by(ArticleDraft.saved_at.desc())))


def _select_drafts(author_id: int) -> Select[tuple[ArticleDraft]]:
    return select(ArticleDraft).where(
        ArticleDraft.author_id == author_id, ArticleDraft.discarded_at.is_(None)
    )


def delete_drafts(author_id: int, *, article_id: int | None, draft_id: int | None) -> None:
    """Delete the drafts of an article that has just been saved."""
    own = delete(ArticleDraft).where(ArticleDraft.author_id == author_id)
    if article_id is not None:
        db.session.execute(own.where(ArticleDraft.article_id == article_id))
    if draft_id is not None:
        db.session.execute(own.where(ArticleDraft.id == draft_id, ArticleDraft.article_id.is_(None)))


def delete_expired(now: datetime) -> None:
    """Delete drafts that were discarded, or not changed for long."""
    is_discarded = ArticleDraft.discarded_at < now - DISCARDED_RETENTION
    is_forgotten = ArticleDraft.saved_at < now - RETENTION
    db.session.execute(delete(ArticleDraft).where(is_discarded | is_forgotten))
