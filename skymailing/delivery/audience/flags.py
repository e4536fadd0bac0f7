"""Evaluate conditions on tags and segments in letters for the letters' recipients."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session, object_session

from skymailing.clock import utcnow
from skymailing.db.engine import is_in, reading_engine
from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.delivery.rendering.content import Content, find_placeholders
from skymailing.delivery.rendering.flags import FLAG_NAMES, NO_FLAGS, TAG, Flag, Flags, find_flags
from skymailing.delivery.rendering.letter import Recipient
from skymailing.delivery.rendering.liquid_tags import N_, TemplateError
from skymailing.models import Client, Delivery, Segment, Tag, User, client_tags

MAX_FLAGS = 100  # per message
# The limit for all variants of a run, with a layout that may have been changed since. Each flag is a column
# of the query for a window of letters, and PostgreSQL allows 1,664 columns.
MAX_COLUMNS = 1_000


def find_content_flags(content: Content) -> list[Flag]:
    """Return the flags that a message uses; raises TemplateError, for example if there are too many."""
    if not any(name in text for name in FLAG_NAMES for text in content.texts):
        return []
    flags = find_flags(find_placeholders(content))
    _check_number(flags, MAX_FLAGS)
    return flags


def _check_number(flags: Collection[Flag], limit: int) -> None:
    if len(flags) > limit:
        text = N_("A message can use up to %(limit)s different tags and segments in its conditions")
        raise TemplateError(text, limit=str(limit))


def check_flags(owner: User, content: Content) -> None:
    """Raise TemplateError if a message has a condition on a tag or segment that cannot be evaluated."""
    if flags := find_content_flags(content):
        compile_flags(owner, flags, utcnow())


def compile_flags(owner: User, flags: Collection[Flag], now: datetime) -> dict[Flag, ColumnElement[bool]]:
    """Return the condition on `Client` of each flag.

    Raises TemplateError for a tag or segment that does not exist, because it is then unclear who should see
    the text.
    """
    _check_number(flags, MAX_COLUMNS)
    viewpoint = Viewpoint.of(owner, now)
    return {
        flag: _compile_tag(flag[1], viewpoint) if flag[0] == TAG else _compile_segment(flag[1], viewpoint)
        for flag in flags
    }


def _compile_tag(name: str, viewpoint: Viewpoint) -> ColumnElement[bool]:
    own = select(Tag.id).where(Tag.owner_id == viewpoint.owner_id, Tag.name_key == name.lower())
    if (tag_id := viewpoint.session.scalar(own)) is None:
        raise TemplateError(N_("A condition uses the tag “%(name)s”, which does not exist"), name=name)
    # Looked up for each row: `memberships.has_tag` may read all clients with the tag.
    is_its_row = (client_tags.c.tag_id == tag_id) & (client_tags.c.client_id == Client.id)
    return exists().where(is_its_row).correlate(Client)


def _compile_segment(key: str, viewpoint: Viewpoint) -> ColumnElement[bool]:
    own = select(Segment).where(Segment.owner_id == viewpoint.owner_id)
    is_number = key.isascii() and key.isdigit() and len(key) < 10
    segment = viewpoint.session.scalar(own.where(Segment.id == int(key))) if is_number else None
    if segment is None:
        raise TemplateError(N_("A condition uses a segment that does not exist"))
    try:
        return compile_conditions(read_segment(segment.conditions, viewpoint), viewpoint)
    except InvalidConditions as error:
        name = segment.name
        raise TemplateError(N_("The segment “%(name)s” has to be corrected first"), name=name) from error


def find_for_client(client: Client, flags: Sequence[Flag]) -> Flags:
    """Return the flags that hold for a client; raises TemplateError."""
    session = object_session(client)
    assert session is not None
    conditions = compile_flags(session.get_one(User, client.owner_id), flags, utcnow())
    row = session.execute(select(*conditions.values()).where(Client.id == client.id)).one()
    return frozenset(flag for flag, holds in zip(conditions, row, strict=True) if holds)


def find_for_deliveries(owner_id: int, flags: Sequence[Flag], ids: Sequence[int]) -> dict[int, Flags]:
    """Return the flags that hold for the recipients of deliveries; raises TemplateError.

    It takes one query for a window of letters, and leaves no transaction open.
    """
    with Session(reading_engine()) as session:
        conditions = compile_flags(session.get_one(User, owner_id), flags, utcnow())
        statement = (
            select(Delivery.id, *conditions.values())
            .join(Client, Client.id == Delivery.client_id)
            .where(is_in(Delivery.id, ids))
        )
        return {
            row[0]: frozenset(flag for flag, holds in zip(conditions, row[1:], strict=True) if holds)
            for row in session.execute(statement)
        }


def make_reader(content: Content, client: Client | None, example: Recipient) -> Recipient:
    """Return a client or, without one, the example as the recipient of a message; raises TemplateError."""
    if client is None:
        return example
    flags = find_content_flags(content)
    client_flags = find_for_client(client, flags) if flags else NO_FLAGS
    return Recipient(client.email, client.full_name, client.attributes, flags=client_flags)
