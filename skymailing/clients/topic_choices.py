"""Record which topics people join and leave, by address, so that a choice outlives the client.

Owners can change only choices that they recorded themselves. A person's own choice is changed only by that
person: through the link in a letter, or by confirming a sign-up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from skymailing.clients.suppression import list_merged_into
from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Topic, TopicChoice

# The data for `restore_choices`: topic, address, time of the new choice, and the earlier choice, if any.
Change = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic and a person's choice, which is None if the person has made none."""

    topic: Topic
    choice: TopicChoice | None

    @property
    def is_received(self) -> bool:
        """Whether the person gets the topic's mailings, as in `delivery.audience.memberships`."""
        return self.choice.is_joined if self.choice else not self.topic.is_opt_in

    @property
    def is_locked(self) -> bool:
        """Whether the person has left the topic, which the owner cannot undo."""
        return self.choice is not None and not self.choice.is_joined and not self.choice.is_by_owner


@dataclass(frozen=True, slots=True)
class NewChoice:
    """A choice to record."""

    topic_id: int
    email_key: str
    is_joined: bool
    is_by_owner: bool
    changed_at: datetime

    def changes(self, earlier: TopicChoice | None) -> bool:
        """Return whether the choice changes an earlier one; a person's own choice replaces the owner's."""
        if earlier is None or earlier.is_joined != self.is_joined:
            return True
        return earlier.is_by_owner and not self.is_by_owner


def list_states(owner_id: int, email_key: str) -> list[TopicState]:
    """Return the owner's topics, in the chosen order, with the choices of the person with this address."""
    is_of_person = (TopicChoice.topic_id == Topic.id) & (TopicChoice.email_key == email_key)
    rows = db.session.execute(
        select(Topic, TopicChoice)
        .outerjoin(TopicChoice, is_of_person)
        .where(Topic.owner_id == owner_id)
        .order_by(Topic.position, Topic.name_key)
        .execution_options(populate_existing=True)
    )
    return [TopicState(topic, choice) for topic, choice in rows.tuples()]


def choose(owner_id: int, email_key: str, choices: Mapping[int, bool], now: datetime) -> list[Change]:
    """Record a person's choices by topic ID (True to subscribe); return the data for `restore_choices`.

    Leaving also applies to addresses into which this one was merged, as unsubscribing does; joining does not,
    since owners can merge two different people by mistake. Other owners' topics are ignored.
    """
    leaving = [topic_id for topic_id, is_joined in choices.items() if not is_joined]
    merged = list_merged_into(owner_id, [email_key]) if leaving else []
    new = [NewChoice(id, email_key, is_joined, False, now) for id, is_joined in choices.items()]
    new += [NewChoice(id, key, False, False, now) for id in leaving for key in merged]
    return _record(owner_id, new)


def choose_as_owner(owner_id: int, email_key: str, topic_id: int, is_joined: bool, now: datetime) -> None:
    """Record a choice for a client; raises UserError if it joins a topic that the client has left."""
    condition = (TopicChoice.owner_id == owner_id) & (TopicChoice.email_key == email_key)
    # Lock the topic first, as in `_record`.
    db.session.execute(_lock_topics(owner_id, [topic_id]))
    earlier = db.session.scalar(
        select(TopicChoice).where(condition, TopicChoice.topic_id == topic_id).with_for_update()
    )
    if is_joined and earlier is not None and not earlier.is_joined and not earlier.is_by_owner:
        raise UserError("topic_left_by_client")
    _record(owner_id, [NewChoice(topic_id, email_key, is_joined, True, now)])


def copy_choices(owner_id: int, old_key: str, new_key: str) -> list[Change]:
    """Copy the choices of an address to another address of the same person; leaving a topic takes precedence.

    Return the data for `restore_choices`.
    """
    keys = (TopicChoice.owner_id == owner_id) & TopicChoice.email_key.in_([old_key, new_key])
    rows = db.session.scalars(select(TopicChoice).where(keys).execution_options(populate_existing=True))
    by_key: dict[str, dict[int, TopicChoice]] = {old_key: {}, new_key: {}}
    for choice in rows:
        by_key[choice.email_key][choice.topic_id] = choice
    # Copy topics left at both addresses, too: if the person left at either, the owner cannot undo it.
    wanted = [
        NewChoice(id, new_key, choice.is_joined, choice.is_by_owner, choice.changed_at)
        for id, choice in by_key[old_key].items()
        if id not in by_key[new_key] or not choice.is_joined
    ]
    return _record(owner_id, wanted)


def restore_choices(owner_id: int, changes: Iterable[Change]) -> None:
    """Restore earlier choices, except where the person or the owner has changed them again since."""
    for change in changes:
        condition = (TopicChoice.owner_id == owner_id) & (TopicChoice.topic_id == change["topic_id"])
        chosen_at = datetime.fromisoformat(change["at"])
        row = db.session.scalar(
            select(TopicChoice)
            .where(
                condition, TopicChoice.email_key == change["email_key"], TopicChoice.changed_at == chosen_at
            )
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            continue
        if change["before"] is None:
            db.session.execute(delete(TopicChoice).where(condition, TopicChoice.email_key == row.email_key))
        else:
            row.is_joined, row.is_by_owner, at = change["before"]
            row.changed_at = datetime.fromisoformat(at)
    db.session.flush()


def _record(owner_id: int, wanted: Sequence[NewChoice]) -> list[Change]:
    """Store the choices that differ from earlier ones, and return the changes."""
    known = set(db.session.scalars(_lock_topics(owner_id, [new.topic_id for new in wanted])))
    valid = [new for new in wanted if new.topic_id in known]
    before = _read(owner_id, valid)
    # Write in the same order everywhere, so that two transactions cannot deadlock.
    changed = sorted(
        (new for new in valid if new.changes(before.get((new.topic_id, new.email_key)))),
        key=lambda new: (new.topic_id, new.email_key),
    )
    if not changed:
        return []
    earlier = {key: _write_values(choice) for key, choice in before.items()}
    UPSERT_CHOICE.execute(db.session.connection(), [asdict(new) | {"owner_id": owner_id} for new in changed])
    # A concurrent transaction may have recorded the same choices: then it made the change.
    after = _read(owner_id, changed)
    return [
        {
            "topic_id": new.topic_id,
            "email_key": new.email_key,
            "at": new.changed_at.isoformat(),
            "before": earlier.get((new.topic_id, new.email_key)),
        }
        for new in changed
        if after[new.topic_id, new.email_key].changed_at == new.changed_at
    ]


def _upsert_choice() -> Insert:
    statement = insert_into(TopicChoice)
    values = {name: statement.excluded[name] for name in ("is_joined", "is_by_owner", "changed_at")}
    is_change = TopicChoice.is_joined != statement.excluded.is_joined
    is_taken_over = TopicChoice.is_by_owner & ~statement.excluded.is_by_owner
    has_left = ~TopicChoice.is_joined & ~TopicChoice.is_by_owner
    is_rejected = has_left & statement.excluded.is_joined & statement.excluded.is_by_owner
    return statement.on_conflict_do_update(
        index_elements=["topic_id", "email_key"],
        set_=values,
        where=(is_change | is_taken_over) & ~is_rejected,
    )


UPSERT_CHOICE = Upsert(_upsert_choice)


def _lock_topics(owner_id: int, ids: Iterable[int]) -> Any:
    """Select the owner's topics among these, and keep them from being deleted."""
    statement = select(Topic.id).where(Topic.owner_id == owner_id, Topic.id.in_(set(ids))).order_by(Topic.id)
    return statement.with_for_update(read=True, key_share=True)


def _read(owner_id: int, new: Sequence[NewChoice]) -> dict[tuple[int, str], TopicChoice]:
    keys = sorted({choice.email_key for choice in new})
    rows = db.session.scalars(
        select(TopicChoice)
        .where(TopicChoice.owner_id == owner_id, TopicChoice.email_key.in_(keys))
        .where(TopicChoice.topic_id.in_({choice.topic_id for choice in new}))
        .order_by(TopicChoice.topic_id, TopicChoice.email_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {(choice.topic_id, choice.email_key): choice for choice in rows}


def _write_values(choice: TopicChoice) -> list[Any]:
    return [choice.is_joined, choice.is_by_owner, choice.changed_at.isoformat()]
