"""The segments and tags of an audience, as forms and programs name them: `segment:<id>`, `tag:<name>`."""

from collections.abc import Iterable

from sqlalchemy import delete, select

from skymailing.clients.tags import tag_key
from skymailing.delivery.audience.parts import AudienceParts, Part, read_parts
from skymailing.extensions import db
from skymailing.mailings.errors import MailingError
from skymailing.models import Mailing, MailingAudience, Segment, Tag
from skymailing.web.ids import read_id

MAX_PARTS = 20  # each costs time in every query of the audience
SEGMENT, TAG = "segment", "tag"


class UnknownPart(MailingError):
    """A form names a segment or tag that its owner does not have."""

    def __init__(self, name: str) -> None:
        super().__init__("mailing_part_unknown", name=name[:100])


def write_name(part: Part) -> str:
    """Return how forms and programs name a segment or tag."""
    return f"{TAG}:{part.name}" if isinstance(part, Tag) else f"{SEGMENT}:{part.id}"


def find_parts(owner_id: int, names: Iterable[str]) -> tuple[Part, ...]:
    """Return the owner's segments and tags with these names, each once; raises MailingError.

    They are locked against deletion until the transaction ends.
    """
    wanted = tuple(dict.fromkeys(names))
    if len(wanted) > MAX_PARTS:
        raise MailingError("mailing_too_many_parts", limit=MAX_PARTS)
    return tuple(dict.fromkeys(_find_part(owner_id, name) for name in wanted))


def find_parts_by_id(owner_id: int, ids: Iterable[tuple[str, int]]) -> tuple[Part, ...]:
    """Return the owner's segments and tags with these kinds and IDs; raises MailingError."""
    parts: list[Part] = []
    for kind, id in ids:
        part = db.session.get(Tag, id) if kind == TAG else db.session.get(Segment, id)
        if part is None or part.owner_id != owner_id:
            raise MailingError("mailing_part_deleted")
        parts.append(part)
    return tuple(parts)


def write_id(part: Part) -> tuple[str, int]:
    """Return the kind and the ID of a segment or tag."""
    return (TAG if isinstance(part, Tag) else SEGMENT), part.id


def _find_part(owner_id: int, name: str) -> Part:
    kind, _colon, text = name.partition(":")
    part: Part | None = None
    if kind == TAG:
        key = tag_key(text.replace("\0", ""))
        own_tag = (Tag.owner_id == owner_id) & (Tag.name_key == key)
        part = db.session.scalar(select(Tag).where(own_tag).with_for_update(read=True, key_share=True))
    elif kind == SEGMENT:
        own = (Segment.owner_id == owner_id) & (Segment.id == read_id(text))
        part = db.session.scalar(select(Segment).where(own).with_for_update(read=True, key_share=True))
    if part is None:
        raise UnknownPart(text or name)
    return part


def list_choices(owner_id: int) -> list[tuple[str, str, bool]]:
    """Return the name, the label and whether it is a tag for each of the owner's segments and tags."""
    segments = db.session.scalars(select(Segment).where(Segment.owner_id == owner_id).order_by(Segment.name))
    tags = db.session.scalars(select(Tag).where(Tag.owner_id == owner_id).order_by(Tag.name_key))
    parts: list[Part] = [*segments, *tags]
    return [(write_name(part), part.name, isinstance(part, Tag)) for part in parts]


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
