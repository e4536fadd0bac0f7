"""Deleting clients, and bringing them back."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.delivery.ledger import record
from skymailing.extensions import db
from skymailing.models import (
    AuditAction,
    Client,
    Mailing,
    MailingState,
    Removal,
    RemovalKind,
    mailing_clients,
)

OVER = (MailingState.FINISHED, MailingState.CANCELLED)


def delete_clients(
    owner_id: int, client_ids: Iterable[int], now: datetime, actor: Actor
) -> tuple[int, Removal | None]:
    """Delete those of the ids that are the owner's; return how many, and what brings them back.

    Their letters that have not left are cancelled; what was sent stays in the log with its address.
    """
    ids = list(client_ids)
    own = Client.id.in_(ids) & (Client.owner_id == owner_id)
    clients = db.session.scalars(select(Client).where(own).order_by(Client.id).with_for_update()).all()
    owned = [client.id for client in clients]
    if not owned:
        return 0, None
    for client in clients:
        audit.record(AuditAction.CLIENT_DELETED, actor, client)
    selections = _selections_of(owned)
    content = {"clients": [_write(client, selections.get(client.id, [])) for client in clients]}
    removal = undo.save_removal(owner_id, RemovalKind.CLIENTS, content, now)
    record.let_go_of_clients(db.session.connection(), owned, now)
    db.session.execute(
        delete(Client).where(Client.id.in_(owned)), execution_options={"synchronize_session": False}
    )
    return len(owned), removal


def restore_clients(owner_id: int, removal_id: int, now: datetime, actor: Actor) -> int | None:
    """Bring back what one deletion took; return how many, or None when there is nothing to bring back.

    They come with all that was known of them, and are chosen again for mailings that are not over. Whose
    address was added anew meanwhile stays as it is now; letters that were cancelled stay cancelled.
    """
    content = undo.pop_removal(owner_id, RemovalKind.CLIENTS, removal_id, now)
    if content is None:
        return None
    keys = [values["email_key"] for values in content["clients"]]
    there = set(
        db.session.scalars(
            select(Client.email_key).where(Client.owner_id == owner_id, Client.email_key.in_(keys))
        )
    )
    back = [_read(owner_id, values) for values in content["clients"] if values["email_key"] not in there]
    db.session.add_all(client for client, _mailings in back)
    db.session.flush()
    open_ones = set(
        db.session.scalars(select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.state.not_in(OVER)))
    )
    chosen = [
        {"mailing_id": mailing_id, "client_id": client.id}
        for client, mailings in back
        for mailing_id in mailings
        if mailing_id in open_ones
    ]
    if chosen:
        db.session.execute(insert(mailing_clients), chosen)
    for client, _mailings in back:
        audit.record(AuditAction.CLIENT_RESTORED, actor, client)
    return len(back)


def _selections_of(client_ids: list[int]) -> dict[int, list[int]]:
    chosen = mailing_clients.c
    found: dict[int, list[int]] = {}
    rows = db.session.execute(select(mailing_clients).where(chosen.client_id.in_(client_ids)))
    for mailing_id, client_id in rows.tuples():
        found.setdefault(client_id, []).append(mailing_id)
    return found


def _write(client: Client, mailings: list[int]) -> dict[str, Any]:
    return {
        "email": client.email,
        "email_key": client.email_key,
        "full_name": client.full_name,
        "comment": client.comment,
        "attributes": client.attributes,
        "created_at": client.created_at.isoformat(),
        "mailings": mailings,
    }


def _read(owner_id: int, values: dict[str, Any]) -> tuple[Client, list[int]]:
    named = {name: values[name] for name in ("email", "email_key", "full_name", "comment", "attributes")}
    created_at = datetime.fromisoformat(values["created_at"])
    return Client(owner_id=owner_id, created_at=created_at, **named), values["mailings"]
