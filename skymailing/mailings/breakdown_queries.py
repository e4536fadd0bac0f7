"""Count letters of a run by domain, by segment and tag, and by hour: those sent, returned, clicked and so on.

Letters are counted from their rows, so only while the run's details are kept; hours are always known.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Integer, Select, String, case, func, literal, select, union_all

from skymailing.extensions import db
from skymailing.mailings.click_variants import has_variant
from skymailing.mailings.results import NOT_SENT
from skymailing.models import (
    LATER_COUNTS,
    TRUSTED_PROOFS,
    Bounce,
    BounceKind,
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    OptOut,
    Run,
    RunInterval,
    Tag,
    client_tags,
)

# The numbers of letters that no mail server has accepted, by name, and the states that each counts.
NOT_ACCEPTED = {
    "failed": (DeliveryState.FAILED,),
    "unknown": (DeliveryState.UNKNOWN,),
    "not_sent": NOT_SENT,
}
# Counts by name, for each domain, part or hour.
Counts = Mapping[Any, Counter[str]]
Letters = Mapping[str, Select[Any]]


def select_letters(run: Run, variant: int = 0) -> Letters:
    """Return a query for the letters of each count, by name, in a run or in a variant of its test.

    The columns are the address and the client's ID. Counts that are 0 in the whole run are left out, so that
    most runs need fewer queries.
    """
    letter = select(Delivery.email_key, Delivery.client_id)
    of_run = letter.where(Delivery.run_id == run.id)
    engaged = letter.join(Engagement, Engagement.delivery_id == Delivery.id).where(
        Engagement.run_id == run.id
    )
    # Uses the index by owner: there is none by run.
    own = (Bounce.owner_id == run.mailing.owner_id) & (Bounce.run_id == run.id)
    bounced = letter.join(Bounce, Bounce.delivery_id == Delivery.id)
    bounced = bounced.where(own, Bounce.proof.in_(TRUSTED_PROOFS))
    is_complaint = Bounce.kind == BounceKind.COMPLAINT
    letters = {"sent": of_run.where(Delivery.state == DeliveryState.SENT)}
    letters |= {name: of_run.where(Delivery.state.in_(states)) for name, states in NOT_ACCEPTED.items()}
    if run.returned:
        # A letter can be returned several times.
        letters["returned"] = bounced.where(~is_complaint).add_columns(Delivery.id).distinct()
    if run.complaints:
        letters["complaints"] = bounced.where(is_complaint)
    if run.clicked:
        letters["clicked"] = engaged.where(Engagement.clicks > 0)
    if run.track_opens != "off":
        letters["opened"] = engaged.where(Engagement.opened_on.is_not(None))
    if variant:
        letters = {name: rows.where(has_variant(run, variant)) for name, rows in letters.items()}
    if run.unsubscribed:
        letters["unsubscribed"] = _select_opt_outs(run, variant)
    return letters


def _select_opt_outs(run: Run, variant: int) -> Select[Any]:
    """Select people who unsubscribed and may have been deleted since; an address counts once."""
    is_client = (Client.owner_id == OptOut.owner_id) & (Client.email_key == OptOut.email_key)
    rows = select(OptOut.email_key, Client.id.label("client_id")).distinct()
    # Uses the index by owner and time.
    of_run = (OptOut.owner_id == run.mailing.owner_id) & (OptOut.at >= run.started_at)
    rows = rows.where(of_run, OptOut.run_id == run.id, OptOut.undone_at.is_(None))
    if not variant:
        return rows.outerjoin(Client, is_client)
    is_letter = (Delivery.run_id == run.id) & (Delivery.client_id == Client.id)
    return rows.join(Client, is_client).join(Delivery, is_letter).where(has_variant(run, variant))


def count_by_domain(letters: Letters) -> Counts:
    """Count letters by the domain of the address."""
    counted = []
    for name, rows in letters.items():
        # As a subquery, so that PostgreSQL recognizes the expression by which it groups.
        letter = rows.subquery()
        one = select(_extract_domain(letter.c.email_key).label("key")).subquery()
        counted.append(_count(name, one.c.key, select().select_from(one)))
    return _read(counted)


def _extract_domain(email_key: ColumnElement[str]) -> ColumnElement[str]:
    if db.engine.dialect.name == "sqlite":
        return func.substr(email_key, func.instr(email_key, "@") + 1, type_=String)
    return func.split_part(email_key, "@", 2, type_=String)


def count_by_condition(
    letters: Letters, owner_id: int, conditions: Sequence[ColumnElement[bool]]
) -> list[Counter[str]]:
    """Count the letters to the owner's clients who meet each of the conditions now."""
    if not conditions:
        return []
    # All letters at once, so that each condition is evaluated once.
    all_letters = union_all(
        *(select(literal(name).label("name"), rows.subquery().c.client_id) for name, rows in letters.items())
    ).cte("letters")
    counted = []
    for place, condition in enumerate(conditions):
        rows = select(literal(place, Integer), all_letters.c.name, func.count())
        rows = rows.join_from(all_letters, Client, Client.id == all_letters.c.client_id)
        rows = rows.where(Client.owner_id == owner_id, _evaluate_by_row(condition))
        counted.append(rows.group_by(all_letters.c.name))
    counts = _read(counted)
    return [counts.get(place, Counter()) for place in range(len(conditions))]


def _evaluate_by_row(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Keep SQLite from reading all clients with a tag for each letter, as it does for id IN (SELECT ...)."""
    return case((condition, 1), else_=0) == 1 if db.engine.dialect.name == "sqlite" else condition


def count_by_tag(letters: Letters, owner_id: int) -> Counts:
    """Count letters by the tags that their clients have now, by name."""
    counted = []
    for name, rows in letters.items():
        letter = rows.subquery()
        tagged = select().select_from(letter).join(client_tags, client_tags.c.client_id == letter.c.client_id)
        counted.append(_count(name, client_tags.c.tag_id, tagged))
    counts = _read(counted)
    names = select(Tag.id, Tag.name).where(Tag.owner_id == owner_id)
    return {name: counts[id] for id, name in db.session.execute(names).tuples() if id in counts}


def _count(name: str, key: Any, rows: Select[Any]) -> Select[Any]:
    return rows.add_columns(key.label("key"), literal(name), func.count()).group_by(key)


def _read(counted: Sequence[Select[Any]]) -> Counts:
    """Run the statements as one; each returns rows of a key, a name and a number."""
    counts: dict[Any, Counter[str]] = defaultdict(Counter)
    for key, name, number in db.session.execute(union_all(*counted)).tuples():
        counts[key][name] += number
    return counts


def count_by_hour(run: Run, zone: ZoneInfo) -> Counts:
    """Count what happened in each hour of a time zone, by the start of the hour.

    Clicks belong to the hour in which they were counted, usually within seconds.
    """
    table = RunInterval.__table__
    names = {state.value: name for name, states in NOT_ACCEPTED.items() for state in states}
    names |= {name: name for name in (DeliveryState.SENT.value, *LATER_COUNTS)}
    intervals = select(RunInterval.begins_at, *(table.c[name] for name in names))
    counts: dict[datetime, Counter[str]] = defaultdict(Counter)
    for begins_at, *numbers in db.session.execute(intervals.where(RunInterval.run_id == run.id)).tuples():
        hour = counts[floor_to_hour(begins_at, zone)]
        for name, number in zip(names.values(), numbers, strict=True):
            hour[name] += int(number)
    return {hour: count for hour, count in sorted(counts.items()) if any(count.values())}


def floor_to_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the hour's start in a time zone; not all zones differ from UTC by whole hours."""
    local = moment.astimezone(zone)
    return moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
