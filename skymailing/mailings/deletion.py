"""Delete a mailing that has not run, and restore it."""

from dataclasses import asdict
from datetime import datetime, time
from enum import StrEnum
from typing import Any

from sqlalchemy import Enum, Time, inspect, select

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.delivery.audience.parts import read_parts
from skymailing.extensions import db
from skymailing.mailings.audience import find_parts_by_id, save_parts, write_id
from skymailing.mailings.errors import MailingError
from skymailing.mailings.run_queries import has_runs
from skymailing.mailings.selection import Selection, read_selected_ids, save_selection
from skymailing.mailings.services import lock_mailing
from skymailing.mailings.variants import VariantValues, find_unknown_messages, read_variants, save_variants
from skymailing.models import AuditAction, Mailing, Message, Removal, RemovalKind, Sender
from skymailing.models.types import UTCDateTime
from skymailing.topics.queries import find_topic

# These are not stored: the database or the caller sets them when the mailing is restored.
NOT_STORED = {"id", "owner_id", "updated_at"}


def delete_mailing(mailing: Mailing, now: datetime, actor: Actor) -> Removal:
    """Delete a mailing that has no runs; return the removal that can restore it. Raises MailingError."""
    lock_mailing(mailing)
    if has_runs(mailing):
        raise MailingError("mailing_has_runs")
    parts = read_parts(mailing)
    content = {
        "values": _to_values(mailing),
        "clients": read_selected_ids(mailing).to_values(),
        "include": [write_id(part) for part in parts.include],
        "exclude": [write_id(part) for part in parts.exclude],
        "variants": [asdict(variant) for variant in read_variants(mailing)],
    }
    removal = undo.save_removal(mailing.owner_id, RemovalKind.MAILING, content, now)
    # Its start job, if any, finds no mailing and ends quietly.
    audit.record(AuditAction.MAILING_DELETED, actor, mailing)
    db.session.delete(mailing)
    return removal


def restore_mailing(owner_id: int, removal_id: int, now: datetime, actor: Actor) -> Mailing | None:
    """Restore a deleted mailing with its next start; return None if the removal no longer exists.

    Raises MailingError if its message, its topic, a segment or a tag has been deleted as well.
    """
    content = undo.pop_removal(owner_id, RemovalKind.MAILING, removal_id, now)
    if content is None:
        return None
    values = _from_values(content["values"])
    condition = (Message.id == values["message_id"]) & (Message.owner_id == owner_id)
    if (
        db.session.scalar(select(Message.id).where(condition).with_for_update(read=True, key_share=True))
        is None
    ):
        raise MailingError("mailing_message_deleted")
    # Mailings deleted by earlier versions have no sender.
    if (sender_id := values.get("sender_id")) is not None:
        chosen = select(Sender.id).where(Sender.id == sender_id, Sender.owner_id == owner_id)
        if db.session.scalar(chosen.with_for_update(read=True, key_share=True)) is None:
            raise MailingError("mailing_sender_deleted")
    # Nor do they have variants.
    variants = [VariantValues(**variant) for variant in content.get("variants", [])]
    if find_unknown_messages(owner_id, variants):
        raise MailingError("mailing_message_deleted")
    topic_id = values.get("topic_id")
    if topic_id is not None and find_topic(owner_id, topic_id, keep=True) is None:
        raise MailingError("mailing_topic_deleted")
    mailing = Mailing(owner_id=owner_id, **values)
    db.session.add(mailing)
    db.session.flush()
    save_selection(mailing, Selection.parse(content["clients"]))
    # Mailings deleted by earlier versions have no parts.
    parts = find_parts_by_id(owner_id, content.get("include", []), content.get("exclude", []))
    save_parts(mailing, parts)
    save_variants(mailing, variants)
    audit.record(AuditAction.MAILING_RESTORED, actor, mailing)
    return mailing


def _to_values(mailing: Mailing) -> dict[str, Any]:
    names = (column.key for column in inspect(Mailing).column_attrs if column.key not in NOT_STORED)
    return {name: _to_json(getattr(mailing, name)) for name in names}


def _to_json(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return value.isoformat() if isinstance(value, datetime | time) else value


def _from_values(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _from_json(Mailing.__table__.c[name].type, value) for name, value in values.items()}


def _from_json(column_type: Any, value: Any) -> Any:
    if value is None:
        return None
    match column_type:
        case UTCDateTime():
            return datetime.fromisoformat(value)
        case Time():
            return time.fromisoformat(value)
        case Enum():
            return column_type.python_type(value)
        case _:
            return value
