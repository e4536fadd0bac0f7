"""Merge two clients who are the same person, and undo it.

The kept client's values take precedence, and empty ones are filled. Suppressions do not change: each belongs
to an address, and mailings check only the kept address. However, a person who later opts out through an old
letter to the removed address also opts out at the kept one. If either client has left a topic, the merged
client does not get it.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import delete, insert, select, update

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.clients.cleaning import MAX_ATTRIBUTES
from skymailing.clients.deletion import remove_clients, restore_removed_clients
from skymailing.clients.enrolments import (
    copy_enrolments,
    find_last_signal,
    forget_signals,
    remove_enrolments,
)
from skymailing.clients.locking import make_locking_order
from skymailing.clients.notes import move_notes
from skymailing.clients.suppression import forget_merge, remember_merge
from skymailing.clients.topic_choices import copy_choices, restore_choices
from skymailing.db.engine import insert_into
from skymailing.delivery.ledger.merging import move_letters, return_letters
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    Client,
    Consent,
    ConsentKind,
    ConsentPurpose,
    Removal,
    RemovalKind,
    Tag,
    client_forms,
    client_tags,
    mailing_clients,
)
from skymailing.purchases.services import find_purchases, give_purchases

FILLED_COLUMNS = ("full_name", "comment", "timezone")


def merge_clients(kept: Client, removed: Client, now: datetime, actor: Actor) -> Removal:
    """Move what belongs to `removed` to `kept`, and delete `removed`; return the undo record.

    Raises UserError if one of them has just been deleted.
    """
    _lock(kept, removed)
    content: dict[str, Any] = {"kept": kept.id, "kept_since": kept.created_at.isoformat()}
    content["filled"] = _fill(kept, removed)
    content["enrolments"] = copy_enrolments(kept.owner_id, kept.id, removed.id)
    last_signal = find_last_signal()
    for name, table in (("tags", client_tags), ("mailings", mailing_clients), ("forms", client_forms)):
        content[name] = _copy_links(table, kept.id, removed.id)
    content["consents"] = _copy_consents(kept, removed)
    content["letters"], content["detached"] = move_letters(db.session.connection(), kept, removed.id, now)
    content["purchases"] = find_purchases([removed.id]).get(removed.id, [])
    give_purchases(kept.owner_id, {kept.id: content["purchases"]}, giver_id=removed.id)
    content["notes"] = move_notes(removed.id, kept.id)
    content["kept_key"] = kept.email_key
    content["topics"] = copy_choices(kept.owner_id, removed.email_key, kept.email_key)
    remember_merge(kept.owner_id, removed.email_key, kept.email_key, now)
    audit.record_replacement(AuditAction.CLIENT_MERGED, actor, removed, kept.email)
    forget_signals([kept.id], last_signal)
    _clients, content["removed"] = remove_clients(kept.owner_id, [removed.id], now)
    return undo.save_removal(kept.owner_id, RemovalKind.MERGE, content, now)


def undo_merge(owner_id: int, removal_id: int, now: datetime, actor: Actor) -> Client | None:
    """Restore the removed client, and remove its data from the kept one; return the restored client.

    Return None if this can no longer be undone. Raises UserError if the address has been added again.
    Letters that were cancelled or readdressed keep that state.
    """
    content = undo.pop_removal(owner_id, RemovalKind.MERGE, removal_id, now)
    if content is None:
        return None
    statement = select(Client).where(Client.owner_id == owner_id, Client.id == content["kept"])
    kept = db.session.scalar(statement.with_for_update())
    restored = restore_removed_clients(owner_id, content["removed"])
    if not restored:
        raise UserError("client_duplicate")
    (client,) = restored
    forget_merge(owner_id, client.email_key, content["kept_key"])
    # SQLite may have given the ID of a deleted client to another one.
    if kept is not None and kept.created_at.isoformat() == content["kept_since"]:
        _remove_merged(kept, content)
        # Merges by earlier versions have no topics.
        restore_choices(owner_id, content.get("topics", []))
        give_purchases(owner_id, {client.id: content.get("purchases", [])}, giver_id=kept.id)
        move_notes(kept.id, client.id, content.get("notes", []))  # earlier versions had no notes
        letters = (content["letters"], content["detached"])
        return_letters(db.session.connection(), letters, kept.id, client.id)
    audit.record(AuditAction.CLIENT_RESTORED, actor, client)
    return client


def _lock(*clients: Client) -> None:
    """Lock both clients until the transaction ends, and refresh them; raises UserError."""
    ids = [client.id for client in clients]
    # Lock the clients' tags first, as a merge of tags does.
    tags = select(client_tags.c.tag_id).where(client_tags.c.client_id.in_(ids))
    db.session.execute(
        select(Tag.id).where(Tag.id.in_(tags)).order_by(Tag.id).with_for_update(read=True, key_share=True)
    )
    both = select(Client).where(Client.id.in_(ids)).order_by(make_locking_order()).with_for_update()
    if len(db.session.scalars(both.execution_options(populate_existing=True)).all()) < len(ids):
        raise UserError("client_gone")


def _fill(kept: Client, removed: Client) -> dict[str, Any]:
    """Fill empty values of the kept client; return the values that were filled."""
    values = {
        name: getattr(removed, name)
        for name in FILLED_COLUMNS
        if getattr(removed, name) and not getattr(kept, name)
    }
    for name, value in values.items():
        setattr(kept, name, value)
    missing = (pair for pair in removed.attributes.items() if pair[1] and not kept.attributes.get(pair[0]))
    attributes = dict(islice(missing, max(0, MAX_ATTRIBUTES - len(kept.attributes))))
    kept.attributes = kept.attributes | attributes
    return values | {"attributes": attributes}


def _copy_links(table: Any, kept_id: int, removed_id: int) -> list[int]:
    """Give the kept client the other's tags or selections; return the IDs of those that it lacked."""
    (target,) = (column for column in table.primary_key.columns if column.name != "client_id")
    kept = select(target).where(table.c.client_id == kept_id)
    missing = select(target).where(table.c.client_id == removed_id, target.not_in(kept)).order_by(target)
    ids = list(db.session.scalars(missing))
    if ids:
        rows = [{target.name: id, "client_id": kept_id} for id in ids]
        db.session.execute(insert_into(table).on_conflict_do_nothing(), rows)
    return ids


def _copy_consents(kept: Client, removed: Client) -> list[int]:
    """Copy the consents to the kept address; the originals remain at the removed one."""
    names = ("owner_id", "kind", "purpose", "at", "ip", "agent", "form_id", "previous_key")
    columns = [getattr(Consent, name) for name in (*names, "text_id", "created_at")]
    condition = (Consent.owner_id == removed.owner_id) & (Consent.email_key == removed.email_key)
    # Two different people may have been merged by mistake, so opens are counted only at the address itself.
    condition &= (Consent.purpose == ConsentPurpose.LETTERS) | (Consent.kind == ConsentKind.WITHDRAWN)
    rows = db.session.execute(select(*columns).where(condition).order_by(Consent.id)).mappings().all()
    if not rows:
        return []
    values = [{**row, "email_key": kept.email_key} for row in rows]
    return list(db.session.scalars(insert(Consent).returning(Consent.id), values))


def _remove_merged(kept: Client, content: dict[str, Any]) -> None:
    """Remove from the kept client the data that the merge added, unless it has been changed since."""
    filled = content["filled"]
    for name in FILLED_COLUMNS:
        if name in filled and getattr(kept, name) == filled[name]:
            setattr(kept, name, "")
    given = filled["attributes"]
    kept.attributes = {key: value for key, value in kept.attributes.items() if given.get(key) != value}
    _remove_links(client_tags, client_tags.c.tag_id, kept.id, content["tags"])
    _remove_links(mailing_clients, mailing_clients.c.mailing_id, kept.id, content["mailings"])
    # Merges by earlier versions have no forms.
    _remove_links(client_forms, client_forms.c.form_id, kept.id, content.get("forms", []))
    remove_enrolments(kept.id, content.get("enrolments", []))
    copies = (Consent.owner_id == kept.owner_id) & Consent.id.in_(content["consents"])
    db.session.execute(delete(Consent).where(copies, Consent.email_key == kept.email_key))
    keys = [values["email_key"] for values in content["removed"]]
    originals = (Consent.owner_id == kept.owner_id) & Consent.email_key.in_(keys)
    db.session.execute(update(Consent).where(originals).values(orphaned_at=None))


def _remove_links(table: Any, target: Any, kept_id: int, ids: Sequence[int]) -> None:
    db.session.execute(delete(table).where(table.c.client_id == kept_id, target.in_(ids)))
