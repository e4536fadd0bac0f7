"""The segments and tags that a mailing includes and excludes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select
from sqlalchemy.orm import object_session

from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.conditions import Not
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.memberships import has_tag
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.delivery.eligibility import can_be_extended, is_unfinished
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    Mailing,
    MailingAudience,
    MailingState,
    Segment,
    Tag,
    Topic,
    User,
)

Part = Segment | Tag


class BrokenAudience(UserError):
    """A segment of the audience cannot be evaluated, so no one is selected."""

    def __init__(self, segment: Segment, reason: InvalidConditions) -> None:
        super().__init__("audience_broken", segment=segment.name, reason=reason)
        self.segment = segment
        self.reason = reason


class EmptyAudience(UserError):
    """No segment and no tag is included."""

    def __init__(self) -> None:
        super().__init__("audience_empty")


@dataclass(frozen=True)
class AudienceParts:
    """The segments and tags that an audience includes and excludes; exclusion takes precedence."""

    include: tuple[Part, ...] = ()
    exclude: tuple[Part, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        return (*self.include, *self.exclude)

    def to_json(self) -> dict[str, Any]:
        """Return the parts for `Run.audience`, with the conditions as they are now."""
        return {
            "include": [write_part(part) for part in self.include],
            "exclude": [write_part(part) for part in self.exclude],
        }


def write_part(part: Part) -> dict[str, Any]:
    if isinstance(part, Tag):
        return {"tag": part.id, "name": part.name}
    return {"segment": part.id, "name": part.name, "conditions": part.conditions}


def read_parts(mailing: Mailing) -> AudienceParts:
    """Return the segments and tags of a saved mailing, each in the order in which they were chosen."""
    session = object_session(mailing)
    assert session is not None
    rows = session.scalars(
        select(MailingAudience)
        .where(MailingAudience.mailing_id == mailing.id)
        .order_by(MailingAudience.position)
    ).all()
    chosen = [(row.is_excluded, row.segment or row.tag) for row in rows]
    return AudienceParts(
        tuple(part for is_excluded, part in chosen if part and not is_excluded),
        tuple(part for is_excluded, part in chosen if part and is_excluded),
    )


def find_blocking_mailings(uses: ColumnElement[bool]) -> Select[tuple[Mailing]]:
    """Select mailings that block the deletion of a segment or tag; `uses` filters MailingAudience.

    These are unfinished mailings, and finished ones that exclude the part and can be extended by their owner,
    because without the exclusion they would reach more people.
    """
    return (
        select(Mailing)
        .join(MailingAudience, MailingAudience.mailing_id == Mailing.id)
        .where(uses, is_unfinished() | (can_be_extended() & MailingAudience.is_excluded))
        .distinct()
        .order_by(Mailing.id.desc())
    )


def restore_uses(part: Part, uses: Iterable[tuple[int, bool]]) -> None:
    """Add a restored segment or tag to mailings again; `uses` has their IDs and whether they excluded it.

    In mailings that have been extended since, only exclusions are restored, so that they reach no further
    clients.
    """
    session = object_session(part)
    assert session is not None
    for mailing_id, is_excluded in uses:
        mailing = session.get(Mailing, mailing_id)
        if mailing is None or mailing.owner_id != part.owner_id:
            continue
        if not is_excluded and mailing.state not in (MailingState.FINISHED, MailingState.CANCELLED):
            continue
        in_mailing = MailingAudience.mailing_id == mailing_id
        last = session.scalar(select(func.max(MailingAudience.position)).where(in_mailing))
        use = MailingAudience(mailing_id=mailing_id, is_excluded=is_excluded)
        use.position = 0 if last is None else last + 1
        use.tag_id, use.segment_id = (part.id, None) if isinstance(part, Tag) else (None, part.id)
        session.add(use)
        session.flush()


def lock_parts(mailing: Mailing) -> None:
    """Keep the owner's tags and topics and the mailing's segments unchanged until the transaction ends.

    Conditions refer to tags and topics by name, so these must not change between the check and the use.
    """
    session = object_session(mailing)
    assert session is not None
    tags = select(Tag.id).where(Tag.owner_id == mailing.owner_id).order_by(Tag.id)
    topics = select(Topic.id).where(Topic.owner_id == mailing.owner_id).order_by(Topic.id)
    used = select(MailingAudience.segment_id).where(MailingAudience.mailing_id == mailing.id)
    segments = select(Segment.id).where(Segment.id.in_(used)).order_by(Segment.id)
    for rows in (tags, topics, segments):
        session.execute(rows.with_for_update(read=True, key_share=True))


def compile_parts(
    parts: AudienceParts, audience: Audience, owner: User, now: datetime
) -> ColumnElement[bool]:
    """Return the condition on the owner's clients: those in included parts, or all, minus the excluded.

    Raises BrokenAudience, or EmptyAudience if an audience of segments includes nothing, because a missing
    part must never enlarge an audience.
    """
    viewpoint = Viewpoint.of(owner, now)
    conditions = [_compile_part(part, viewpoint, is_excluded=True) for part in parts.exclude]
    if audience is Audience.SEGMENTS:
        if not parts.include:
            raise EmptyAudience
        included = [_compile_part(part, viewpoint, is_excluded=False) for part in parts.include]
        conditions.insert(0, or_(*included).self_group())
    return and_(True, *conditions)


def _compile_part(part: Part, viewpoint: Viewpoint, *, is_excluded: bool) -> ColumnElement[bool]:
    if isinstance(part, Tag):
        condition = has_tag(part.id, db.engine.dialect.name)
        return not_(condition) if is_excluded else condition
    try:
        node = read_segment(part.conditions, viewpoint)
    except InvalidConditions as error:
        raise BrokenAudience(part, error) from error
    return compile_conditions(Not(node) if is_excluded else node, viewpoint)
