"""Read segments, their clients, the mailings that use them, and the objects that conditions can refer to."""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, String, func, select

from skymailing.clients.known_fields import list_known_attributes
from skymailing.db.pagination import COUNT_LIMIT, BoundedCount, Order, count_up_to
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.conditions import Node, list_leaves
from skymailing.delivery.audience.fields import InvalidConditions, Kind
from skymailing.delivery.audience.recipients import is_suppressed
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import db
from skymailing.models import Client, Mailing, MailingAudience, MailingKind, Segment, SignupForm, Tag, User

ORDER: Order = [(func.lower(Segment.name, type_=String), False), (Segment.id, False)]
PER_PAGE = 20
CLIENTS_SHOWN = 10
MAILINGS_OFFERED = 200
VALUES_OFFERED = 50
MAX_OFFERED_LENGTH = 100  # of a value
# Number of newest clients whose values are offered: enough to find all cities of a shop's clients.
SAMPLE = 2000


@dataclass(frozen=True)
class Reach:
    """The clients who meet conditions: how many, how many of them get no emails, and the newest ones.

    `suppressed` is None if there are too many clients to check each.
    """

    count: BoundedCount
    suppressed: int | None
    total: BoundedCount
    clients: list[Client]


def list_segments(owner_id: int) -> Select[Any]:
    """Return a statement for the owner's segments."""
    return select(Segment).where(Segment.owner_id == owner_id)


def list_segment_names(owner_id: int) -> list[tuple[int, str]]:
    """Return the IDs and names of the owner's segments, oldest first."""
    own = select(Segment.id, Segment.name).where(Segment.owner_id == owner_id)
    return list(db.session.execute(own.order_by(Segment.id)).tuples())


def find_mailings(segment_id: int) -> list[Mailing]:
    """Return the mailings that include or exclude a segment, newest first."""
    return find_uses([segment_id]).get(segment_id, [])


def find_uses(segment_ids: Collection[int]) -> dict[int, list[Mailing]]:
    """Return the mailings that include or exclude segments, newest first, by the ID of the segment."""
    rows = db.session.execute(
        select(MailingAudience.segment_id, Mailing)
        .join(Mailing, Mailing.id == MailingAudience.mailing_id)
        .where(MailingAudience.segment_id.in_(segment_ids))
        .order_by(Mailing.id.desc())
    )
    uses: dict[int, list[Mailing]] = {}
    for segment_id, mailing in rows.tuples():
        mailings = uses.setdefault(segment_id or 0, [])
        if mailing not in mailings:  # a mailing can both include and exclude it
            mailings.append(mailing)
    return uses


def select_members(node: Node, viewpoint: Viewpoint) -> Select[tuple[Client]]:
    """Return a statement for the clients who meet checked conditions."""
    statement = select(Client).where(Client.owner_id == viewpoint.owner_id)
    return statement.where(compile_conditions(node, viewpoint))


def measure_reach(node: Node, viewpoint: Viewpoint) -> Reach:
    """Return the reach of checked conditions."""
    members = select_members(node, viewpoint)
    flags = members.with_only_columns(Client.id, is_suppressed()).limit(COUNT_LIMIT + 1)
    found = dict(db.session.execute(flags).tuples().all())
    if is_exact := len(found) <= COUNT_LIMIT:
        # All clients were read, so the newest are known without evaluating the conditions again.
        members = select(Client).where(Client.id.in_(heapq.nlargest(CLIENTS_SHOWN, found)))
    return Reach(
        count=BoundedCount(min(len(found), COUNT_LIMIT), is_exact=is_exact),
        suppressed=sum(found.values()) if is_exact else None,
        total=count_up_to(select(Client).where(Client.owner_id == viewpoint.owner_id)),
        clients=list(db.session.scalars(members.order_by(Client.id.desc()).limit(CLIENTS_SHOWN))),
    )


def count_segments(
    segments: Iterable[Segment], viewpoint: Viewpoint, seconds: float
) -> dict[int, BoundedCount | InvalidConditions]:
    """Return the number of clients in each segment by ID, or the reason why it cannot be evaluated.

    Segments that are not counted within `seconds` are skipped.
    """
    nodes: dict[int, Node] = {}
    found: dict[int, BoundedCount | InvalidConditions] = {}
    with suppress(TookTooLong), limit_time(seconds):
        for segment in segments:
            try:
                nodes[segment.id] = read_segment(segment.conditions, viewpoint)
            except InvalidConditions as error:
                found[segment.id] = error
        for id, node in nodes.items():
            found[id] = count_up_to(select_members(node, viewpoint))
    return found


def name_mailings(node: Node, owner_id: int) -> dict[int, str]:
    """Return the names of the mailings in the conditions, by ID."""
    ids = [leaf.value for leaf in list_leaves(node) if leaf.kind is Kind.MAILING]
    statement = select(Mailing.id, Mailing.name).where(Mailing.owner_id == owner_id)
    chosen = statement.where(Mailing.id.in_([id for id in ids if isinstance(id, int)]))
    return dict(db.session.execute(chosen).tuples().all()) if ids else {}


def name_forms(node: Node, owner_id: int) -> dict[str, str]:
    """Return the names of the sign-up forms in the conditions, by UUID."""
    uuids = [leaf.value for leaf in list_leaves(node) if leaf.kind is Kind.FORM]
    statement = select(SignupForm.uuid, SignupForm.name).where(SignupForm.owner_id == owner_id)
    chosen = statement.where(SignupForm.uuid.in_(uuids))
    return dict(db.session.execute(chosen).tuples().all()) if uuids else {}


def name_references(node: Node, owner_id: int) -> dict[int | str, str]:
    """Return the names of all objects in the conditions, for `sentences.describe`."""
    names: dict[int | str, str] = {}
    names.update(name_mailings(node, owner_id).items())
    names.update(name_forms(node, owner_id).items())
    return names


def list_forms(owner_id: int) -> list[tuple[str, str]]:
    """Return the UUIDs and names of the owner's sign-up forms, sorted by name."""
    statement = select(SignupForm.uuid, SignupForm.name).where(SignupForm.owner_id == owner_id)
    rows = db.session.execute(statement.order_by(func.lower(SignupForm.name))).tuples()
    return [(uuid, name) for uuid, name in rows]


def list_attributes(owner: User) -> list[str]:
    """Return the attribute keys of the owner's clients, sorted."""
    return sorted({*owner.attribute_types, *list_known_attributes(owner.id)}, key=str.lower)


def list_tag_names(owner_id: int) -> list[str]:
    """Return the names of the owner's tags, sorted."""
    return list(db.session.scalars(select(Tag.name).where(Tag.owner_id == owner_id).order_by(Tag.name_key)))


def list_newest_mailings(owner_id: int) -> list[tuple[int, str]]:
    """Return the IDs and names of the owner's newest mailings."""
    statement = select(Mailing.id, Mailing.name).where(Mailing.owner_id == owner_id)
    statement = statement.where(Mailing.kind == MailingKind.MAILING)
    return list(db.session.execute(statement.order_by(Mailing.id.desc()).limit(MAILINGS_OFFERED)).tuples())


def list_values(owner_id: int, field: str, attribute: str | None) -> list[str]:
    """Return the most common values of an attribute or of `domain` among the newest clients."""
    newest = select(Client.attributes if attribute else Client.email_key).where(Client.owner_id == owner_id)
    rows = db.session.scalars(newest.order_by(Client.id.desc()).limit(SAMPLE))
    if attribute:
        texts = (str(attributes.get(attribute, "")).strip() for attributes in rows)
    elif field == "domain":
        texts = (key.rpartition("@")[2] for key in rows)
    else:
        return []
    spellings = Counter(text for text in texts if text and len(text) <= MAX_OFFERED_LENGTH)
    # Conditions ignore case, so one spelling of each value is enough: the most common one.
    values: dict[str, str] = {}
    for text, _count in spellings.most_common():
        values.setdefault(text.lower(), text)
    return sorted(list(values.values())[:VALUES_OFFERED], key=str.lower)
