"""List the letters to a client, and explain why the client gets them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from skymailing.clients.topic_choices import TopicState
from skymailing.db.pagination import Order
from skymailing.extensions import db
from skymailing.models import (
    CAUGHT_KINDS,
    Audience,
    Bounce,
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    Mailing,
    Proof,
    Run,
    TransactionalLetter,
)

LETTER_ORDER: Order = [(Delivery.id, True)]
LETTERS_PER_PAGE = 20
TRANSACTIONAL_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reason:
    """The audience of a run when it was planned.

    The parts are those in `Run.audience`: the name of a segment or tag, and the conditions of a segment.
    """

    audience: Audience
    include: list[dict[str, Any]] = field(default_factory=list)
    exclude: list[dict[str, Any]] = field(default_factory=list)
    topic: str = ""  # its name

    @property
    def segments(self) -> list[dict[str, Any]]:
        """The parts that have conditions."""
        return [part for part in (*self.include, *self.exclude) if "conditions" in part]


def list_letters(client: Client) -> Select[Any]:
    """Return a statement for (Delivery, Run, Mailing, Engagement) rows: all letters that are still kept."""
    return (
        select(Delivery, Run, Mailing, Engagement)
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .outerjoin(Engagement, Engagement.delivery_id == Delivery.id)
        .where(Delivery.client_id == client.id, Mailing.owner_id == client.owner_id)
        .where(Mailing.kind.not_in(CAUGHT_KINDS))
    )


def list_transactional(client: Client) -> list[TransactionalLetter]:
    """Return the newest transactional letters to the client's address, without those of test keys."""
    letter = TransactionalLetter
    statement = (
        select(letter)
        .options(joinedload(letter.content), joinedload(letter.delivery))
        .where(letter.owner_id == client.owner_id, letter.email_key == client.email_key)
        .where(letter.is_caught.is_(False))
    )
    return list(db.session.scalars(statement.order_by(letter.delivery_id.desc()).limit(TRANSACTIONAL_SHOWN)))


def find_left_topics(states: Iterable[TopicState]) -> dict[int, datetime]:
    """Return when a client left topics, by their IDs."""
    choices = (state.choice for state in states)
    return {choice.topic_id: choice.changed_at for choice in choices if choice and not choice.is_joined}


def has_left_topic(letter: Any, left: Mapping[int, datetime], suppressed_at: datetime | None) -> bool:
    """Return whether a letter was not sent because the client had left its topic; `left` is by topic ID."""
    delivery, run = letter.Delivery, letter.Run
    if delivery.state is not DeliveryState.SUPPRESSED or delivery.finished_at is None:
        return False
    left_at = left.get(run.topic_id)
    was_suppressed = suppressed_at is not None and suppressed_at <= delivery.finished_at
    return left_at is not None and left_at <= delivery.finished_at and not was_suppressed


def list_return_reports(client: Client) -> list[Bounce]:
    """Return the latest reports that letters to the client's address were returned or marked as spam."""
    statement = (
        select(Bounce)
        .where(
            Bounce.owner_id == client.owner_id,
            Bounce.email_key == client.email_key,
            Bounce.proof != Proof.DISMISSED,
        )
        .order_by(Bounce.id.desc())
        .limit(LETTERS_PER_PAGE)
    )
    return list(db.session.scalars(statement))


def explain_run(run: Run) -> Reason | None:
    """Return why clients are in a run, as recorded when it was planned; None if it was not recorded."""
    kept = run.audience
    if kept is None or kept.get("audience") not in set(Audience):
        return None
    topic = kept.get("topic", {}).get("name", "")
    return Reason(Audience(kept["audience"]), kept.get("include", []), kept.get("exclude", []), topic)
