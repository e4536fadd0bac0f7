"""Read a page of a client's timeline.

One UNION finds the events of a page, then `loading` loads their objects. Events are rows that have a time.
docs/interface.md describes how to add a kind of event.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any

from sqlalchemy import select, union_all

from skymailing.clients.timeline.kinds import FILTERED_KINDS, EventKind, Filter
from skymailing.clients.timeline.loading import load_items
from skymailing.clients.timeline.sources import select_events
from skymailing.db.pagination import Page, paginate
from skymailing.models import Client

EVENTS_PER_PAGE = 30


@dataclass(frozen=True, slots=True)
class Event:
    """An event; `item` is its object, as returned by `loading.LOADERS`."""

    at: datetime
    kind: EventKind
    item: Any


def list_events(client: Client, chosen: Filter | None, cursor: str | None) -> Page:
    """Return a page of a client's events, newest first, with the filter if one is chosen."""
    kinds = FILTERED_KINDS[chosen] if chosen else list(EventKind)
    events = union_all(*select_events(client, kinds)).subquery()
    order = [(events.c.at, True), (events.c.kind, True), (events.c.ref, True)]
    page = paginate(select(events.c.at, events.c.kind, events.c.ref), order, cursor, EVENTS_PER_PAGE)
    return replace(page, items=_load(client, page.items))


def _load(client: Client, rows: Sequence[Any]) -> list[Event]:
    """Load the events' objects, and omit events whose objects have just been deleted."""
    refs: dict[EventKind, set[int]] = defaultdict(set)
    for row in rows:
        refs[EventKind(row.kind)].add(row.ref)
    items = {kind: load_items(client, kind, found) for kind, found in refs.items()}
    found = ((row.at, EventKind(row.kind), row.ref) for row in rows)
    return [Event(at, kind, items[kind][ref]) for at, kind, ref in found if ref in items[kind]]


def group_by_day(events: Iterable[Event], zone: tzinfo) -> list[list[Event]]:
    """Return the events of each day in this time zone, in the same order."""
    return [list(day) for _date, day in groupby(events, lambda event: event.at.astimezone(zone).date())]
