"""Delete a segment that no unfinished mailing uses, and restore it."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from skymailing import audit, undo
from skymailing.audit import Actor
from skymailing.clients import saved_views
from skymailing.delivery.audience.parts import find_blocking_mailings, restore_uses
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, Mailing, MailingAudience, Removal, RemovalKind, Segment
from skymailing.quotas.checks import require_room, select_segments
from skymailing.segments.queries import find_mailings
from skymailing.segments.services import lock_segment
from skymailing.settings.quotas import quota_settings


class SegmentInUse(UserError):
    """Unfinished mailings use the segment, so it cannot be deleted."""

    def __init__(self, mailings: list[Mailing]) -> None:
        super().__init__("segment_in_use", names=", ".join(f"“{mailing.name}”" for mailing in mailings))


def check_unused(segment_id: int) -> None:
    """Raise SegmentInUse if an unfinished mailing uses the segment."""
    blocking = find_blocking_mailings(MailingAudience.segment_id == segment_id)
    if mailings := list(db.session.scalars(blocking)):
        raise SegmentInUse(mailings)


def delete_segment(segment: Segment, now: datetime, actor: Actor) -> Removal:
    """Delete a segment and remove it from ended mailings; return the removal that restores it.

    Runs keep the conditions that they were planned with. Raises SegmentInUse or SegmentDeleted.
    """
    segment_id = segment.id
    views = saved_views.forget_segment(segment.owner_id, segment_id)  # locks the owner, like a new mailing
    lock_segment(segment)  # before its rows in mailings, in the same order as edits of a mailing
    try:
        with db.session.begin_nested():
            check_unused(segment_id)
            uses = _forget_uses(segment_id)
            content = {"name": segment.name, "conditions": segment.conditions, "uses": uses, "views": views}
            removal = undo.save_removal(segment.owner_id, RemovalKind.SEGMENT, content, now)
            audit.record(AuditAction.SEGMENT_DELETED, actor, segment)
            db.session.delete(segment)
            db.session.flush()
    except IntegrityError as error:
        # A mailing with this segment was saved after the check; the foreign key prevented the deletion.
        check_unused(segment_id)
        raise SegmentInUse(find_mailings(segment_id)) from error
    return removal


def _forget_uses(segment_id: int) -> list[dict[str, Any]]:
    """Remove the segment from the audiences of mailings; return the data to restore them."""
    rows = MailingAudience.segment_id == segment_id
    columns = (MailingAudience.mailing_id, MailingAudience.position, MailingAudience.is_excluded)
    uses = [dict(row) for row in db.session.execute(select(*columns).where(rows)).mappings()]
    db.session.execute(delete(MailingAudience).where(rows))
    return uses


def restore_segment(owner_id: int, removal_id: int, now: datetime, actor: Actor) -> Segment | None:
    """Restore a deleted segment and its uses in mailings; return None if the removal no longer exists.

    Raises LimitReached.
    """
    content = undo.pop_removal(owner_id, RemovalKind.SEGMENT, removal_id, now)
    if content is None:
        return None
    require_room("segment_limit", select_segments(owner_id), quota_settings().segments)
    segment = Segment(owner_id=owner_id, name=content["name"], conditions=content["conditions"])
    db.session.add(segment)
    db.session.flush()
    restore_uses(segment, ((use["mailing_id"], use["is_excluded"]) for use in content["uses"]))
    saved_views.restore_segment(owner_id, content.get("views", []), segment.id)  # older records have none
    audit.record(AuditAction.SEGMENT_RESTORED, actor, segment)
    return segment
