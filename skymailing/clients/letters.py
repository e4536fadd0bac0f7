"""Explain why a client gets letters, or why one was not sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from skymailing.clients.topic_choices import TopicState
from skymailing.models import (
    Audience,
    Delivery,
    DeliveryState,
    Run,
)


@dataclass(frozen=True, slots=True)
class Reason:
    """The audience of a run when it was planned.

    The parts are those in `Run.audience`: the name of a segment or tag, and the conditions of a segment.
    """

    audience: Audience
    include: list[dict[str, Any]] = field(default_factory=list)
    exclude: list[dict[str, Any]] = field(default_factory=list)
    topic: str = ""  # the topic's name

    @property
    def segments(self) -> list[dict[str, Any]]:
        """The parts that have conditions."""
        return [part for part in (*self.include, *self.exclude) if "conditions" in part]


def find_left_topics(states: Iterable[TopicState]) -> dict[int, datetime]:
    """Return when a client left topics, by their IDs."""
    choices = (state.choice for state in states)
    return {choice.topic_id: choice.changed_at for choice in choices if choice and not choice.is_joined}


def has_left_topic(
    delivery: Delivery, run: Run, left: Mapping[int, datetime], suppressed_at: datetime | None
) -> bool:
    """Return whether a letter was not sent because the client had left its topic; `left` is by topic ID."""
    if delivery.state is not DeliveryState.SUPPRESSED or delivery.finished_at is None or not run.topic_id:
        return False
    left_at = left.get(run.topic_id)
    was_suppressed = suppressed_at is not None and suppressed_at <= delivery.finished_at
    return left_at is not None and left_at <= delivery.finished_at and not was_suppressed


def explain_run(run: Run) -> Reason | None:
    """Return why clients are in a run, as recorded when it was planned; None if it was not recorded."""
    kept = run.audience
    if kept is None or kept.get("audience") not in set(Audience):
        return None
    topic = kept.get("topic", {}).get("name", "")
    return Reason(Audience(kept["audience"]), kept.get("include", []), kept.get("exclude", []), topic)
