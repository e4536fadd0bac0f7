"""Test who enters sequences, and when."""

from datetime import datetime, time, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.topic_choices import choose
from skymailing.extensions import db
from skymailing.models import (
    Run,
    Segment,
    Trigger,
    User,
)
from skymailing.sequences import services
from skymailing.sequences.values import SequenceValues
from tests.support.factories import ClientFactory, create_clients
from tests.support.sequence_factories import NOON, Sequences, days
from tests.support.signup_factories import TopicFactory

DAY = timedelta(days=1)
HAS_TAG = {"field": "tag", "op": "is", "value": "customer"}


def test_a_tag_lets_clients_enter_once(sequences: Sequences, user: User) -> None:
    first, second = create_clients(user, 2)
    label = sequences.tag("lead", first)
    sequence = sequences.create(days(0), trigger=Trigger.TAG, tag_id=label.id)
    sequences.tag("lead", first, second)
    sequences.sweep(NOON)
    assert sequences.list_letters(*sequences.list_steps(sequence)) == [second.email]
    sequences.untag_all()
    sequences.tag("lead", second)
    sequences.sweep(NOON + 9 * DAY)
    assert sequences.count_letters(sequence) == [1]


def test_a_tag_added_on_the_page_of_a_client_starts_a_sequence(
    sequences: Sequences, user: User, browser: FlaskClient
) -> None:
    client, _other = create_clients(user, 2)
    sequence = sequences.create(days(0), trigger=Trigger.TAG, tag_id=sequences.tag("lead").id)
    browser.post(f"/clients/{client.id}/tags", data={"tags": "Lead"})
    sequences.sweep(NOON)
    assert sequences.list_letters(*sequences.list_steps(sequence)) == [client.email]


def test_clients_enter_again_after_the_chosen_time(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user)
    label = sequences.tag("lead")
    sequence = sequences.create(days(0), trigger=Trigger.TAG, tag_id=label.id, reenter_days=7)
    for moment in (NOON, NOON + 6 * DAY, NOON + 7 * DAY):
        sequences.untag_all()
        sequences.tag("lead", client)
        sequences.sweep(moment)
    assert sequences.count_letters(sequence) == [2]


def test_joining_a_topic_lets_clients_enter(app: Flask, sequences: Sequences, user: User) -> None:
    client, other = create_clients(user, 2)
    topic = TopicFactory.create(owner=user, is_opt_in=True)
    sequence = sequences.create(days(0), trigger=Trigger.TOPIC, joined_topic_id=topic.id)
    with app.app_context():
        for is_joined in (False, True):
            choose(user.id, client.email_key, {topic.id: is_joined}, NOON)
        choose(user.id, other.email_key, {topic.id: False}, NOON)
        db.session.commit()
    sequences.sweep(NOON)
    assert sequences.list_letters(*sequences.list_steps(sequence)) == [client.email]


def test_members_of_a_segment_enter_within_an_hour(
    sequences: Sequences, user: User, session: Session
) -> None:
    member, later = create_clients(user, 2)
    sequences.tag("customer", member)
    segment = Segment(owner_id=user.id, name="Customers", conditions=HAS_TAG)
    session.add(segment)
    session.flush()
    sequence = sequences.create(days(0), trigger=Trigger.SEGMENT, segment_id=segment.id)
    sequences.sweep(NOON)
    sequences.tag("customer", later)
    sequences.sweep(NOON + timedelta(minutes=59))
    assert sequences.count_letters(sequence) == [1]
    sequences.sweep(NOON + timedelta(minutes=60))
    assert sequences.count_letters(sequence) == [2]


@pytest.mark.parametrize(
    ("birthday", "day", "is_due"),
    [
        ("1990-03-02", NOON, True),
        ("02.03.1990", NOON, True),
        ("1990-03-01", NOON, False),
        ("2026-03-02", NOON, False),
        ("2000-02-29", datetime(2027, 2, 28, 12, tzinfo=NOON.tzinfo), True),
        ("2000-02-29", datetime(2028, 2, 28, 12, tzinfo=NOON.tzinfo), False),
        ("2000-02-29", datetime(2028, 2, 29, 12, tzinfo=NOON.tzinfo), True),
    ],
)
def test_anniversaries(sequences: Sequences, user: User, birthday: str, day: datetime, is_due: bool) -> None:
    ClientFactory.create(owner=user, attributes={"birthday": birthday})
    sequence = sequences.create(days(0, at_time=time(10)), now=day, trigger=Trigger.DATE, date_key="birthday")
    sequences.sweep(day)
    sequences.sweep(day + timedelta(hours=2))
    assert sequences.count_letters(sequence) == [int(is_due)]


@pytest.mark.one_engine
def test_another_trigger_in_between_does_not_block_an_anniversary(sequences: Sequences, user: User) -> None:
    client = ClientFactory.create(owner=user, attributes={"birthday": "1990-03-02"})
    tag = sequences.tag("lead")
    by_date = SequenceValues("Birthday", Trigger.DATE, date_key="birthday", reenter_days=1)
    by_tag = SequenceValues("Birthday", Trigger.TAG, tag_id=tag.id, reenter_days=1)
    sequence = sequences.create(days(0), trigger=Trigger.DATE, date_key="birthday", reenter_days=1, now=NOON)
    entries = []
    for number in range(3):
        birthday = NOON.replace(year=2026 + number)
        sequences.sweep(birthday)
        entries.append(sequences.find(sequence, client).entry)
        sequences.change(sequence, services.update_sequence, by_tag, birthday + 9 * DAY)
        sequences.untag_all()
        sequences.tag("lead", client)
        sequences.sweep(birthday + 9 * DAY)
        entries.append(sequences.find(sequence, client).entry)
        sequences.change(sequence, services.update_sequence, by_date, birthday + 19 * DAY)
    assert entries == [2026, -1, 2027, -2, 2028, -3]


@pytest.mark.one_engine
def test_a_date_counts_once_even_if_it_is_checked_often(sequences: Sequences, user: User) -> None:
    ClientFactory.create(owner=user, attributes={"ends": "2026-03-12"})
    sequence = sequences.create(
        days(0, at_time=time(10)), trigger=Trigger.DATE, date_key="ends", date_offset=-7, is_yearly=False
    )
    for hour in range(0, 24 * 14, 5):
        sequences.sweep(NOON + timedelta(hours=hour))
    assert sequences.count_letters(sequence) == [1]
    run = sequences.session.scalars(select(Run)).one()
    assert run.started_at.date().isoformat() == "2026-03-05"
