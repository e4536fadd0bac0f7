"""Find the segments and tags of an audience by their names in forms: `segment:<id>`, `tag:<name>`."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, delete, select

from skymailing.clients.tags import tag_key
from skymailing.delivery.audience.parts import AudienceParts, Part, read_parts
from skymailing.extensions import db
from skymailing.mailings.errors import MailingError
from skymailing.models import Mailing, MailingAudience, Segment, Tag
from skymailing.web.ids import read_id

MAX_PARTS = 20  # each costs time in every query of the audience
SEGMENT, TAG = "segment", "tag"


class UnknownPart(MailingError):
    """A form or a program names a segment or tag that its owner does not have."""

    def __init__(self, name: str, position: int) -> None:
        kind, _colon, text = name.partition(":")
        is_named = kind in (SEGMENT, TAG) and text
        super().__init__("mailing_part_unknown" if is_named else "mailing_part_unnamed", name=text[:100])
        self.position = position


def write_name(part: Part) -> str:
    """Return the name of a segment or tag in forms and in the API."""
    return f"{TAG}:{part.name}" if isinstance(part, Tag) else f"{SEGMENT}:{part.id}"


def find_parts(owner_id: int, names: Iterable[str]) -> dict[str, Part]:
    """Return the owner's existing segments and tags with these names, by name.

    They are locked against deletion until the transaction ends.
    """
    tags: dict[str, str] = {}
    segments: dict[str, int] = {}
    for name in names:
        kind, _colon, text = name.partition(":")
        if kind == TAG:
            tags[name] = tag_key(text.replace("\0", ""))
        elif kind == SEGMENT:
            segments[name] = read_id(text)
    found_tags = _lock_tags(owner_id, Tag.name_key.in_(tags.values())) if tags else ()
    found_segments = _lock_segments(owner_id, Segment.id.in_(segments.values())) if segments else ()
    by_key = {tag.name_key: tag for tag in found_tags}
    by_id = {segment.id: segment for segment in found_segments}
    return {name: by_key[key] for name, key in tags.items() if key in by_key} | {
        name: by_id[id] for name, id in segments.items() if id in by_id
    }


def choose_parts(known: Mapping[str, Part], names: Sequence[str]) -> tuple[Part, ...]:
    """Return the segments and tags with these names, each once; raises MailingError for unknown ones."""
    wanted = tuple(dict.fromkeys(names))
    if len(wanted) > MAX_PARTS:
        raise MailingError("mailing_too_many_parts", limit=MAX_PARTS)
    for position, name in enumerate(names):
        if name not in known:
            raise UnknownPart(name, position)
    return tuple(dict.fromkeys(known[name] for name in wanted))


def find_parts_by_id(
    owner_id: int, include: Sequence[tuple[str, int]], exclude: Sequence[tuple[str, int]]
) -> AudienceParts:
    """Return the owner's segments and tags with these kinds and IDs, locked; raises MailingError."""
    wanted = [*include, *exclude]
    tags = _lock_tags(owner_id, Tag.id.in_([id for kind, id in wanted if kind == TAG]))
    segments = _lock_segments(owner_id, Segment.id.in_([id for kind, id in wanted if kind == SEGMENT]))
    parts: list[Part] = [*tags, *segments]
    found = {write_id(part): part for part in parts}
    try:
        return AudienceParts(
            tuple(found[kind, id] for kind, id in include), tuple(found[kind, id] for kind, id in exclude)
        )
    except KeyError as error:
        raise MailingError("mailing_part_deleted") from error


# All transactions lock tags before segments, and both in order of ID, so that two cannot deadlock.
def _lock_tags(owner_id: int, condition: ColumnElement[bool]) -> Sequence[Tag]:
    statement = select(Tag).where(Tag.owner_id == owner_id, condition).order_by(Tag.id)
    return db.session.scalars(statement.with_for_update(read=True, key_share=True)).all()


def _lock_segments(owner_id: int, condition: ColumnElement[bool]) -> Sequence[Segment]:
    statement = select(Segment).where(Segment.owner_id == owner_id, condition).order_by(Segment.id)
    return db.session.scalars(statement.with_for_update(read=True, key_share=True)).all()


def write_id(part: Part) -> tuple[str, int]:
    """Return the kind and the ID of a segment or tag."""
    return (TAG if isinstance(part, Tag) else SEGMENT), part.id


def list_choices(owner_id: int) -> list[tuple[str, str]]:
    """Return the name and the label of each of the owner's segments and tags."""
    segments = select(Segment.id, Segment.name).where(Segment.owner_id == owner_id)
    tags = select(Tag.name).where(Tag.owner_id == owner_id).order_by(Tag.name_key)
    named = db.session.execute(segments.order_by(Segment.name, Segment.id)).tuples()
    return [(f"{SEGMENT}:{id}", name) for id, name in named] + [
        (f"{TAG}:{name}", name) for name in db.session.scalars(tags)
    ]


def save_parts(mailing: Mailing, parts: AudienceParts) -> None:
    """Save exactly these segments and tags for a mailing."""
    if parts == read_parts(mailing):
        return
    db.session.execute(delete(MailingAudience).where(MailingAudience.mailing_id == mailing.id))
    chosen = [(part, False) for part in parts.include] + [(part, True) for part in parts.exclude]
    db.session.add_all(
        MailingAudience(
            mailing_id=mailing.id,
            position=position,
            is_excluded=is_excluded,
            tag_id=part.id if isinstance(part, Tag) else None,
            segment_id=None if isinstance(part, Tag) else part.id,
        )
        for position, (part, is_excluded) in enumerate(chosen)
    )
    db.session.flush()
