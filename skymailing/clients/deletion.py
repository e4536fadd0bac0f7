"""Delete clients and restore them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.clients.consents import mark_orphaned
from skymailing.clients.distinct import find_groups, restore_memberships
from skymailing.clients.enrolments import (
    find_enrolments,
    find_last_signal,
    forget_signals,
    restore_enrolments,
)
from skymailing.clients.locking import make_locking_order
from skymailing.clients.notes import find_notes, restore_notes
from skymailing.clients.queries import FINAL_MAILING_STATES
from skymailing.clients.tags import find_or_create_tags, find_tags, tag_key
from skymailing.db.engine import insert_into
from skymailing.delivery.ledger import deliveries
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    Client,
    Mailing,
    Removal,
    RemovalKind,
    SignupForm,
    client_forms,
    client_tags,
    mailing_clients,
)
from skymailing.purchases.services import find_purchases, give_purchases

# A restored client and its stored values.
Restored = tuple[Client, dict[str, Any]]


def delete_clients(
    owner_id: int, client_ids: Iterable[int], now: datetime, actor: Actor
) -> tuple[int, Removal | None]:
    """Delete the owner's clients with these IDs; return how many, and the undo record.

    Their unsent letters are cancelled. Sent letters remain in the log with the address.
    """
    clients, content = remove_clients(owner_id, client_ids, now)
    if not clients:
        return 0, None
    for client in clients:
        audit.record(AuditAction.CLIENT_DELETED, actor, client)
    return len(clients), undo.save_removal(owner_id, RemovalKind.CLIENTS, {"clients": content}, now)


def remove_clients(
    owner_id: int, client_ids: Iterable[int], now: datetime
) -> tuple[Sequence[Client], list[dict[str, Any]]]:
    """Delete the owner's clients with these IDs; return them and the data for `restore_removed_clients`."""
    condition = Client.id.in_(list(client_ids)) & (Client.owner_id == owner_id)
    clients = db.session.scalars(
        select(Client).where(condition).order_by(make_locking_order()).with_for_update()
    ).all()
    owned = [client.id for client in clients]
    selections = _find_selections(owned)
    tags = find_tags(owned)
    forms = _find_forms(owned)
    enrolments = find_enrolments(owned)
    purchases = find_purchases(owned)
    notes = find_notes(owned)
    groups = find_groups(owned)
    letters = deliveries.detach_clients(db.session.connection(), owned, now)
    content = [
        _serialize(client)
        | {
            "mailings": selections.get(client.id, []),
            "tags": tags.get(client.id, []),
            "forms": forms.get(client.id, []),
            "letters": letters.get(client.id, []),
            "enrolments": enrolments.get(client.id, []),
            "purchases": purchases.get(client.id, []),
            "notes": notes.get(client.id, []),
            "distinct": sorted(groups.get(client.id, ())),
        }
        for client in clients
    ]
    mark_orphaned(owner_id, [client.email_key for client in clients], now)
    db.session.execute(
        delete(Client).where(Client.id.in_(owned)), execution_options={"synchronize_session": False}
    )
    return clients, content


def restore_clients(owner_id: int, deletion_id: int, now: datetime, actor: Actor) -> int | None:
    """Restore the clients of one deletion; return how many, or None if it cannot be undone."""
    content = undo.pop_removal(owner_id, RemovalKind.CLIENTS, deletion_id, now)
    if content is None:
        return None
    restored = restore_removed_clients(owner_id, content["clients"])
    for client in restored:
        audit.record(AuditAction.CLIENT_RESTORED, actor, client)
    return len(restored)


def restore_removed_clients(owner_id: int, content: Sequence[dict[str, Any]]) -> list[Client]:
    """Restore clients whom `remove_clients` deleted; return them.

    All their values, tags and letters are restored, and they are selected again in unfinished mailings. If a
    client with the same address has been added since, the new client is kept and gets the letters and notes.
    Cancelled letters remain cancelled.
    """
    keys = [values["email_key"] for values in content]
    condition = (Client.owner_id == owner_id) & Client.email_key.in_(keys)
    ids = dict(db.session.execute(select(Client.email_key, Client.id).where(condition)).tuples().all())
    restored = [
        (_deserialize(owner_id, values), values) for values in content if values["email_key"] not in ids
    ]
    db.session.add_all(client for client, _values in restored)
    db.session.flush()
    ids |= {client.email_key: client.id for client, _values in restored}
    _restore_letters(content, ids)
    # Deletions stored by earlier versions have no purchases.
    bought = {ids[values["email_key"]]: values.get("purchases", []) for values in content}
    give_purchases(owner_id, bought, giver_id=None)
    # Deletions stored by earlier versions have no notes.
    restore_notes(owner_id, {ids[values["email_key"]]: values.get("notes", []) for values in content})
    _restore_enrolments(owner_id, restored)
    last_signal = find_last_signal()
    _restore_tags(owner_id, restored)
    _restore_selections(owner_id, restored)
    _restore_forms(owner_id, restored)
    # Deletions stored by earlier versions have no groups.
    restore_memberships(owner_id, {client.id: values.get("distinct", []) for client, values in restored})
    forget_signals([client.id for client, _values in restored], last_signal)
    return [client for client, _values in restored]


def _restore_letters(clients: Sequence[dict[str, Any]], ids: dict[str, int]) -> None:
    """Reattach letters to the clients who have the addresses now; `ids` maps address keys to client IDs."""
    # Deletions stored by earlier versions have no letters.
    recipients = {
        letter: ids[values["email_key"]] for values in clients for letter in values.get("letters", ())
    }
    deliveries.attach_clients(db.session.connection(), recipients)


def _restore_enrolments(owner_id: int, restored: list[Restored]) -> None:
    """Restore the clients' progress in sequences."""
    places = [
        (client.id, place)
        for client, values in restored
        # Deletions stored by earlier versions have no enrolments.
        for place in values.get("enrolments", ())
    ]
    restore_enrolments(owner_id, places)


def _restore_tags(owner_id: int, restored: list[Restored]) -> None:
    """Restore the clients' tags, including tags that have been deleted since."""
    # Deletions stored by earlier versions have no tags.
    names = {client.id: values.get("tags", []) for client, values in restored}
    all_names = dict.fromkeys(name for client_names in names.values() for name in client_names)
    ids = find_or_create_tags(owner_id, all_names, limit=None)
    rows = [
        {"tag_id": ids[tag_key(name)], "client_id": client_id}
        for client_id, client_names in names.items()
        for name in client_names
    ]
    if rows:
        db.session.execute(insert_into(client_tags).on_conflict_do_nothing(), rows)


def _restore_selections(owner_id: int, restored: list[Restored]) -> None:
    """Select the clients again in unfinished mailings."""
    unfinished = set(
        db.session.scalars(
            select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.state.not_in(FINAL_MAILING_STATES))
        )
    )
    selections = [
        {"mailing_id": mailing_id, "client_id": client.id}
        for client, values in restored
        for mailing_id in values["mailings"]
        if mailing_id in unfinished
    ]
    if selections:
        db.session.execute(insert(mailing_clients), selections)


def _restore_forms(owner_id: int, restored: list[Restored]) -> None:
    """Record again which forms the clients subscribed through, if the forms still exist."""
    existing = set(db.session.scalars(select(SignupForm.id).where(SignupForm.owner_id == owner_id)))
    rows = [
        {"form_id": form_id, "client_id": client.id}
        for client, values in restored
        # Deletions stored by earlier versions have no forms.
        for form_id in values.get("forms", ())
        if form_id in existing
    ]
    if rows:
        db.session.execute(insert(client_forms), rows)


def _find_forms(client_ids: list[int]) -> dict[int, list[int]]:
    """Return the IDs of the forms through which each client subscribed."""
    forms: dict[int, list[int]] = {}
    chosen = select(client_forms.c.form_id, client_forms.c.client_id)
    rows = db.session.execute(chosen.where(client_forms.c.client_id.in_(client_ids)))
    for form_id, client_id in rows.tuples():
        forms.setdefault(client_id, []).append(form_id)
    return forms


def _find_selections(client_ids: list[int]) -> dict[int, list[int]]:
    """Return the IDs of the mailings in which each client is selected."""
    selections: dict[int, list[int]] = {}
    selected = mailing_clients.c.client_id.in_(client_ids)
    rows = db.session.execute(select(mailing_clients).where(selected))
    for mailing_id, client_id in rows.tuples():
        selections.setdefault(client_id, []).append(mailing_id)
    return selections


def _serialize(client: Client) -> dict[str, Any]:
    return {
        "email": client.email,
        "email_key": client.email_key,
        "full_name": client.full_name,
        "comment": client.comment,
        "timezone": client.timezone,
        "attributes": client.attributes,
        "origin": client.origin,
        "origin_id": client.origin_id,
        "created_at": client.created_at.isoformat(),
    }


def _deserialize(owner_id: int, values: dict[str, Any]) -> Client:
    named = {name: values[name] for name in ("email", "email_key", "full_name", "comment", "attributes")}
    created_at = datetime.fromisoformat(values["created_at"])
    # Deletions stored by earlier versions have no time zone and no origin.
    timezone, origin, origin_id = values.get("timezone", ""), values.get("origin"), values.get("origin_id")
    added = {"created_at": created_at, "origin": origin, "origin_id": origin_id}
    return Client(owner_id=owner_id, timezone=timezone, **added, **named)
