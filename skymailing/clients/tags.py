"""Add tags to clients and remove them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, Select, delete, func, literal, select

from skymailing.clients.cleaning import clean_text
from skymailing.db.engine import execute_counting, insert_into
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, Tag, client_tags
from skymailing.models.segment import TAG_MAX_LENGTH

MAX_TAGS = 1000  # per owner
MAX_TAGS_OF_CLIENT = 100


class InvalidTag(UserError):
    """A tag cannot be used: its name is too long, or there are too many tags."""


@dataclass(frozen=True, slots=True)
class TagChanges:
    """Changes to a client's tags: the names to add and the IDs to remove."""

    added: Collection[str] = ()
    removed: Collection[int] = ()


def clean_tag(text: str) -> str:
    """Return the name of a tag on one line, without commas, which separate tags; raises InvalidTag."""
    name = " ".join(clean_text(text).replace(",", " ").split())
    if len(name) > TAG_MAX_LENGTH:
        raise InvalidTag("tag_too_long", limit=TAG_MAX_LENGTH)
    return name


def tag_key(name: str) -> str:
    """Return the normalized name, which is the same for all spellings of a tag."""
    return name.lower()


def read_tags(text: str) -> list[str]:
    """Return the names in a comma-separated list, without duplicates; raises InvalidTag."""
    names = {tag_key(name): name for name in map(clean_tag, text.split(",")) if name}
    if len(names) > MAX_TAGS_OF_CLIENT:
        raise InvalidTag("client_too_many_tags", limit=MAX_TAGS_OF_CLIENT)
    return list(names.values())


def find_or_create_tags(owner_id: int, names: Iterable[str], limit: int | None = MAX_TAGS) -> dict[str, int]:
    """Return the IDs of an owner's tags by `tag_key`, creating new ones.

    They cannot be deleted until the transaction ends. Raises InvalidTag beyond `limit` tags.
    """
    by_key = {tag_key(name): name for name in names}
    statement = select(Tag.name_key, Tag.id).where(Tag.owner_id == owner_id)
    statement = statement.order_by(Tag.id).with_for_update(
        read=True, key_share=True
    )  # ordered as in `lock_tags`
    known = (
        dict(db.session.execute(statement.where(Tag.name_key.in_(by_key))).tuples().all()) if by_key else {}
    )
    new = [key for key in by_key if key not in known]
    if not new:
        return known
    if limit is not None and len(list_keys(owner_id)) + len(new) > limit:
        raise InvalidTag("tag_limit", limit=limit)
    # Sorted, so that two imports that create the same tags cannot deadlock.
    rows = [{"owner_id": owner_id, "name": by_key[key], "name_key": key} for key in sorted(new)]
    db.session.execute(insert_into(Tag).on_conflict_do_nothing(), rows)
    return known | dict(db.session.execute(statement.where(Tag.name_key.in_(new))).tuples().all())


def list_keys(owner_id: int) -> set[str]:
    """Return the `tag_key` of each tag of an owner."""
    return set(db.session.scalars(select(Tag.name_key).where(Tag.owner_id == owner_id)))


def find_tag(owner_id: int, name: str) -> Tag | None:
    """Return the owner's tag with this name, in any spelling, or None."""
    condition = (Tag.owner_id == owner_id) & (Tag.name_key == tag_key(name))
    return db.session.scalar(select(Tag).where(condition))


def change_tags(client: Client, changes: TagChanges) -> None:
    """Add tags to a saved client and remove others; raises InvalidTag."""
    # Lock the tags first, to prevent a deadlock: a merge that has locked them waits for the rows below.
    ids = find_or_create_tags(client.owner_id, changes.added).values()
    if changes.removed:
        has_them = (client_tags.c.client_id == client.id) & client_tags.c.tag_id.in_(changes.removed)
        db.session.execute(delete(client_tags).where(has_them))
    if ids:
        rows = [{"tag_id": tag_id, "client_id": client.id} for tag_id in sorted(ids)]
        db.session.execute(insert_into(client_tags).on_conflict_do_nothing(), rows)


def add_tags(client: Client, text: str) -> list[str]:
    """Add the tags in a comma-separated list to a client, who keeps the others; return those that are new.

    Raises InvalidTag, or UserError if the text names no tag.
    """
    names = read_tags(text)
    if not names:
        raise UserError("tag_nameless")
    present = {tag_key(name) for _id, name in list_client_tags(client)}
    added = [name for name in names if tag_key(name) not in present]
    if added and len(present) + len(added) > MAX_TAGS_OF_CLIENT:
        raise InvalidTag("client_too_many_tags", limit=MAX_TAGS_OF_CLIENT)
    change_tags(client, TagChanges(added=added))
    return added


def add_tag(owner_id: int, tag_id: int, condition: ColumnElement[bool]) -> int:
    """Add a tag to the owner's clients for whom `condition` holds; return how many did not have it."""
    chosen = select(literal(tag_id), Client.id).where(Client.owner_id == owner_id, condition)
    chosen = chosen.order_by(Client.id)  # imports insert in the same order, so no deadlocks
    statement = insert_into(client_tags).from_select(["tag_id", "client_id"], chosen)
    statement = statement.on_conflict_do_nothing()
    return execute_counting(statement)


def remove_tag(owner_id: int, tag_id: int, condition: ColumnElement[bool]) -> int:
    """Remove a tag from the owner's clients for whom `condition` holds; return how many had it."""
    chosen = select(Client.id).where(Client.owner_id == owner_id, condition)
    statement = delete(client_tags).where(client_tags.c.tag_id == tag_id, client_tags.c.client_id.in_(chosen))
    return execute_counting(statement)


def find_tags(client_ids: Collection[int]) -> Mapping[int, list[str]]:
    """Return the sorted names of each client's tags, by client ID."""
    rows = db.session.execute(
        select(client_tags.c.client_id, Tag.name)
        .join(Tag, Tag.id == client_tags.c.tag_id)
        .where(client_tags.c.client_id.in_(client_ids))
        .order_by(Tag.name_key)
    )
    tags: dict[int, list[str]] = {}
    for client_id, name in rows.tuples():
        tags.setdefault(client_id, []).append(name)
    return tags


def list_client_tags(client: Client) -> list[tuple[int, str]]:
    """Return the IDs and names of a client's tags, sorted by name."""
    tags = select(Tag.id, Tag.name).join(client_tags, client_tags.c.tag_id == Tag.id)
    statement = tags.where(client_tags.c.client_id == client.id).order_by(Tag.name_key)
    return list(db.session.execute(statement).tuples())


def list_names(owner_id: int) -> list[str]:
    """Return the names of the owner's tags, sorted."""
    return list(db.session.scalars(select(Tag.name).where(Tag.owner_id == owner_id).order_by(Tag.name_key)))


def select_tags(owner_id: int) -> Select[tuple[Tag, int]]:
    """Select the owner's tags, each with the number of clients who have it."""
    count = select(func.count()).where(client_tags.c.tag_id == Tag.id).correlate(Tag).scalar_subquery()
    return select(Tag, count).where(Tag.owner_id == owner_id)


def find_counted_tag(owner_id: int, tag_id: int) -> Row[tuple[Tag, int]] | None:
    """Return the owner's tag with this ID, and the number of clients who have it."""
    return db.session.execute(select_tags(owner_id).where(Tag.id == tag_id)).first()


def list_tags(owner_id: int) -> list[tuple[Tag, int]]:
    """Return the owner's tags by name, each with the number of clients who have it."""
    return list(db.session.execute(select_tags(owner_id).order_by(Tag.name_key)).tuples())
