"""Find out about a mailing's recipients what decides whether letters arrive (`checkup.audience_checks`)."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import load_only

from skymailing.checkup.audience_checks import MIN_RUNS, Crowd, Earlier, Sample
from skymailing.clients.activity import counts_clicks, find_activities
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.activity import are_clicks_kept
from skymailing.delivery.audience.fields import Activity
from skymailing.extensions import cache, db
from skymailing.mailings import queries
from skymailing.mailings.comparison import find_last_runs
from skymailing.mailings.queries import count_runs
from skymailing.mailings.selection import Conditions
from skymailing.mailings.values import MailingValues
from skymailing.models import Client, Delivery, DeliveryState, Run, User

SAMPLED = 500  # clients, in PARTS that are spread over the audience
PARTS = 10
SECONDS = 1.0  # for the sample
CACHE_SECONDS = 300
FORGOTTEN_AFTER = timedelta(days=180)


def describe_crowd(
    owner: User, values: MailingValues, conditions: Conditions, letters: int, now: datetime
) -> Crowd:
    """Return what is known about the clients in the audience, who get this many letters."""
    earlier = describe_earlier(owner, now)
    sample = None
    if earlier.runs >= MIN_RUNS:
        with suppress(TookTooLong), limit_time(SECONDS):
            sample = _find_sample(owner, values, conditions, now)
    return Crowd(letters, earlier, sample)


def describe_earlier(owner: User, now: datetime) -> Earlier:
    """Return what is known about the owner's last finished mailings."""
    ledgers = count_runs(find_last_runs(owner.id, now))
    if not ledgers:
        return Earlier()
    last = max(ledgers, key=lambda ledger: ledger.run.started_at)
    sent, failed = last[DeliveryState.SENT], last[DeliveryState.FAILED]
    bounced = min(failed + last.run.returned, sent + failed)
    largest = max(ledger.planned for ledger in ledgers)
    return Earlier(len(ledgers), largest, last.run.id, sent + failed, bounced)


def _find_sample(owner: User, values: MailingValues, conditions: Conditions, now: datetime) -> Sample:
    """Return the sample, which a form requests repeatedly, from the cache if it is there."""
    audience = (values.audience, values.include, values.exclude, values.clients, values.topic_id)
    key = f"crowd:{owner.id}:{hashlib.sha256(repr(audience).encode()).hexdigest()}"
    stored = cache.get(key)
    if stored is None:
        sample = examine(owner, _choose_clients(owner, conditions), now)
        stored = sample.clients, sample.forgotten, sample.quiet
        cache.set(key, stored, timeout=CACHE_SECONDS)
    return Sample(*stored)


def examine(owner: User, clients: Sequence[Client], now: datetime) -> Sample:
    """Count who has had no letter for months, and who is quiet."""
    ids = [client.id for client in clients]
    recent = (
        select(func.count(Delivery.client_id.distinct()))
        .join(Run, Run.id == Delivery.run_id)
        .where(Delivery.client_id.in_(ids), Delivery.state == DeliveryState.SENT)
        .where(Run.started_at >= now - FORGOTTEN_AFTER)
    )
    forgotten = len(ids) - (db.session.scalar(recent) or 0)
    if not (are_clicks_kept() and counts_clicks(owner.id)):
        return Sample(len(ids), forgotten, None)
    activities = find_activities(owner, clients, now).values()
    return Sample(len(ids), forgotten, sum(activity is Activity.QUIET for activity in activities))


def _choose_clients(owner: User, conditions: Conditions) -> list[Client]:
    """Return clients from all parts of the audience: a list's oldest and newest clients differ.

    Each part reads only its own range of IDs, so all together read the audience once at most.
    """
    bounds = select(func.min(Client.id), func.max(Client.id)).where(Client.owner_id == owner.id)
    first, last = db.session.execute(bounds).one()
    if first is None:
        return []
    statement = queries.select_mailable_clients(owner).options(load_only(Client.id, Client.created_at))
    step = (last - first) // PARTS + 1
    found: list[Client] = []
    for start in range(first, last + 1, step):
        for condition in conditions:
            in_part = statement.where(Client.id >= start, Client.id < start + step, condition)
            found += db.session.scalars(in_part.limit(SAMPLED // PARTS))
    return found
