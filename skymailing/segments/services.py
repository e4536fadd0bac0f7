"""Save and copy segments."""

from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError

from skymailing.delivery.audience.conditions import Node, write_conditions
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Segment
from skymailing.models.segment import SEGMENT_NAME_MAX_LENGTH
from skymailing.quotas.checks import require_room, select_segments
from skymailing.settings.quotas import quota_settings


class SegmentChanged(UserError):
    """Another window has saved the segment since this one opened it."""

    def __init__(self) -> None:
        super().__init__("segment_changed")


class SegmentDeleted(UserError):
    """The segment was deleted while the request was being processed."""

    def __init__(self) -> None:
        super().__init__("segment_deleted")


def lock_segment(segment: Segment) -> None:
    """Lock a segment until the transaction ends, and read it again; raises SegmentDeleted."""
    try:
        db.session.refresh(segment, with_for_update=True)
    except InvalidRequestError as error:
        raise SegmentDeleted from error


def save_segment(segment: Segment, name: str, node: Node, expected: int | None) -> None:
    """Save the name and the conditions of a segment.

    Raises LimitReached if there are too many segments, SegmentDeleted, and SegmentChanged if `expected` is
    given and is no longer the segment's version.
    """
    if segment.id is not None:
        lock_segment(segment)
        if expected is not None and expected != segment.version:
            raise SegmentChanged
        segment.version += 1
    else:
        _require_room(segment.owner_id)
    segment.name, segment.conditions = name, write_conditions(node)
    db.session.add(segment)
    db.session.flush()


def find_or_save_segment(owner_id: int, name: str, node: Node) -> Segment:
    """Return the owner's segment with exactly these conditions, or save a new one; raises LimitReached."""
    written = write_conditions(node)
    own = select(Segment).where(Segment.owner_id == owner_id).order_by(Segment.id)
    for segment in db.session.scalars(own):
        if segment.conditions == written:
            return segment
    segment = Segment(owner_id=owner_id)
    save_segment(segment, name[:SEGMENT_NAME_MAX_LENGTH], node, None)
    return segment


def duplicate_segment(segment: Segment) -> Segment:
    """Add a copy of a segment, with a number in its name; raises LimitReached."""
    _require_room(segment.owner_id)
    copy = Segment(owner_id=segment.owner_id, name=number_name(segment), conditions=segment.conditions)
    db.session.add(copy)
    db.session.flush()
    return copy


def number_name(segment: Segment) -> str:
    """Return the segment's name with the first number that makes it unique for the owner."""
    names = set(db.session.scalars(select(Segment.name).where(Segment.owner_id == segment.owner_id)))
    number = 2
    while True:
        suffix = f" ({number})"
        name = segment.name[: SEGMENT_NAME_MAX_LENGTH - len(suffix)] + suffix
        if name not in names:
            return name
        number += 1


def _require_room(owner_id: int) -> None:
    require_room("segment_limit", select_segments(owner_id), quota_settings().segments)
