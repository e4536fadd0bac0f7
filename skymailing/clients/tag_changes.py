"""Rename, merge, delete and restore tags, and apply these changes to segments and mailings."""

from collections.abc import Sequence as Items
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.clients.named_conditions import rename_in_segments
from skymailing.clients.saved_views import rename_tag_in_views
from skymailing.clients.tags import add_tag, clean_tag, find_or_create_tags, find_tag, tag_key
from skymailing.db.engine import execute_counting, insert_into
from skymailing.delivery.audience.memberships import has_tag
from skymailing.delivery.audience.parts import find_blocking_mailings, restore_uses
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    Client,
    Mailing,
    MailingAudience,
    Removal,
    RemovalKind,
    Sequence,
    SignupForm,
    Tag,
    client_tags,
    form_tags,
)

MAX_UNDOABLE = 100_000  # clients with a deleted tag; they are stored for the undo
MAILINGS_SHOWN = 5
CLIENTS_AT_A_TIME = 5_000  # SQLite accepts some 30,000 parameters


class TagExists(UserError):
    """Another tag has the new name."""

    def __init__(self, name: str) -> None:
        super().__init__("tag_exists", name=name)


class TagDeleted(UserError):
    """A tag was deleted or merged into another one after the request had loaded it."""

    def __init__(self) -> None:
        super().__init__("tag_deleted")


class TagInUse(UserError):
    """Mailings use the tag, so it cannot be deleted; `mailings` are the newest ones."""

    def __init__(self, mailings: list[Mailing]) -> None:
        super().__init__("tag_in_use", names=", ".join(f"“{mailing.name}”" for mailing in mailings))
        self.mailings = mailings


def rename_tag(tag: Tag, text: str, actor: Actor) -> None:
    """Rename a tag, including in segments; raises InvalidTag, TagExists or TagDeleted."""
    name = clean_tag(text)
    if not name:
        raise UserError("tag_nameless")
    lock_tags(tag)
    other = find_tag(tag.owner_id, name)
    if other is not None and other is not tag:
        raise TagExists(other.name)
    audit.record_replacement(AuditAction.TAG_RENAMED, actor, tag, name)
    old_key = tag.name_key
    try:
        with db.session.begin_nested():
            tag.name, tag.name_key = name, tag_key(name)
    except IntegrityError as error:  # the tag was added after the check; only the unique key detects this
        raise TagExists(name) from error
    rename_in_segments(tag.owner_id, "tag", old_key, name)
    rename_tag_in_views(tag.owner_id, old_key, name)


def merge_tags(source: Tag, target: Tag, actor: Actor) -> int:
    """Replace `source` with `target`; return how many more clients have `target` now. Raises TagDeleted."""
    lock_tags(source, target)
    added = add_tag(source.owner_id, target.id, has_tag(source.id, db.engine.dialect.name))
    db.session.execute(delete(client_tags).where(client_tags.c.tag_id == source.id))
    audit.record_replacement(AuditAction.TAG_MERGED, actor, source, target.name)
    _move_mailings(source, target)
    _move_forms(source, target)
    _move_sequences(source, target)
    rename_in_segments(source.owner_id, "tag", source.name_key, target.name)
    rename_tag_in_views(source.owner_id, source.name_key, target.name)
    db.session.delete(source)
    db.session.flush()
    return added


def _move_mailings(source: Tag, target: Tag) -> None:
    """Let mailings use `target` instead; if a mailing uses both, only remove `source`."""
    known = {
        (row.mailing_id, row.is_excluded)
        for row in db.session.scalars(select(MailingAudience).where(MailingAudience.tag_id == target.id))
    }
    for row in db.session.scalars(select(MailingAudience).where(MailingAudience.tag_id == source.id)).all():
        if (row.mailing_id, row.is_excluded) in known:
            db.session.delete(row)
        else:
            row.tag_id = target.id
    db.session.flush()


def _move_sequences(source: Tag, target: Tag) -> None:
    """Let clients who get `target` enter the sequences that began with `source`."""
    moved = update(Sequence).where(Sequence.tag_id == source.id).values(tag_id=target.id)
    db.session.execute(moved)


def _move_forms(source: Tag, target: Tag) -> None:
    """Let sign-up forms add `target` instead."""
    forms = db.session.scalars(select(form_tags.c.form_id).where(form_tags.c.tag_id == source.id)).all()
    _add_to_forms(target.id, forms)


def _add_to_forms(tag_id: int, form_ids: Items[int]) -> None:
    existing = db.session.scalars(select(SignupForm.id).where(SignupForm.id.in_(form_ids))).all()
    rows = [{"form_id": form_id, "tag_id": tag_id} for form_id in existing]
    if rows:
        db.session.execute(insert_into(form_tags).on_conflict_do_nothing(), rows)


def find_mailings(tag: Tag, limit: int = MAILINGS_SHOWN) -> list[Mailing]:
    """Return the newest mailings that prevent the tag from being deleted."""
    return list(db.session.scalars(find_blocking_mailings(MailingAudience.tag_id == tag.id).limit(limit)))


def can_be_restored(tag: Tag) -> bool:
    """Return whether few enough clients have the tag to store them for the undo."""
    tagged = select(client_tags.c.client_id).where(client_tags.c.tag_id == tag.id)
    return db.session.scalar(tagged.offset(MAX_UNDOABLE).limit(1)) is None


def delete_tag(tag: Tag, now: datetime, actor: Actor) -> Removal | None:
    """Delete a tag and remove it from all clients; return the removal that can restore it, if possible.

    Raises TagInUse or TagDeleted.
    """
    lock_tags(tag)
    if mailings := find_mailings(tag):
        raise TagInUse(mailings)
    removal = _save_removal(tag, now) if can_be_restored(tag) else None
    db.session.execute(delete(MailingAudience).where(MailingAudience.tag_id == tag.id))
    count = execute_counting(delete(client_tags).where(client_tags.c.tag_id == tag.id))
    audit.record_bulk(AuditAction.TAG_DELETED, actor, tag, count)
    db.session.delete(tag)
    db.session.flush()
    return removal


def _save_removal(tag: Tag, now: datetime) -> Removal:
    uses = db.session.scalars(select(MailingAudience).where(MailingAudience.tag_id == tag.id)).all()
    clients = db.session.scalars(select(client_tags.c.client_id).where(client_tags.c.tag_id == tag.id))
    forms = db.session.scalars(select(form_tags.c.form_id).where(form_tags.c.tag_id == tag.id))
    content: dict[str, Any] = {
        "name": tag.name,
        "at": now.isoformat(),
        "clients": list(clients),
        "forms": list(forms),
        "mailings": [[use.mailing_id, use.position, use.is_excluded] for use in uses],
    }
    return undo.save_removal(tag.owner_id, RemovalKind.TAG, content, now)


def restore_tag(owner_id: int, removal_id: int, now: datetime, actor: Actor) -> str | None:
    """Restore a deleted tag and add it to its clients; return its name, or None if the removal is gone.

    If the owner has added a tag with the same name since, that tag is used.
    """
    content = undo.pop_removal(owner_id, RemovalKind.TAG, removal_id, now)
    if content is None:
        return None
    (tag_id,) = find_or_create_tags(owner_id, [content["name"]], limit=None).values()
    client_ids = content["clients"]
    # SQLite may have given the ID of a deleted client to a new one.
    removed_at = datetime.fromisoformat(content["at"]) if "at" in content else now
    for start in range(0, len(client_ids), CLIENTS_AT_A_TIME):
        part = Client.id.in_(client_ids[start : start + CLIENTS_AT_A_TIME])
        add_tag(owner_id, tag_id, part & (Client.created_at <= removed_at))
    uses = ((mailing_id, is_excluded) for mailing_id, _position, is_excluded in content["mailings"])
    tag = db.session.get_one(Tag, tag_id)
    restore_uses(tag, uses)
    _add_to_forms(tag_id, content.get("forms", []))
    audit.record_bulk(AuditAction.TAG_RESTORED, actor, tag, len(client_ids))
    return str(content["name"])


def lock_tags(*tags: Tag) -> None:
    """Lock tags until the transaction ends, and refresh them; raises TagDeleted."""
    ids = [tag.id for tag in tags]
    statement = select(Tag).where(Tag.id.in_(ids)).order_by(Tag.id).with_for_update()
    if len(db.session.scalars(statement.execution_options(populate_existing=True)).all()) < len(tags):
        raise TagDeleted
