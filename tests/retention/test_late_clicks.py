"""Test that no click outlives its letter, even if it is counted while the run's details are being removed."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Click, Delivery, DeliveryState, Engagement, Run, RunLink, RunState, User
from skymailing.retention.batches import TimeBudget, remove_letters
from skymailing.retention.details import remove_old_details
from skymailing.tracking.click_counts import count_clicks, to_milliseconds
from skymailing.tracking.hits import NotedHit
from skymailing.tracking.locking import take_turn
from skymailing.tracking.machines import Visitor
from skymailing.tracking.storing import store_clicks
from tests.support.factories import MailingFactory, create_run

NOW = utcnow()


# On SQLite, letters are not removed while a fold is stored.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_clicks_that_are_stored_while_their_letters_are_removed_are_removed_too(
    app: Flask, session: Session, user: User
) -> None:
    # An earlier sweep has begun to remove the details of this run.
    ended = {"state": RunState.FINISHED, "finished_at": NOW - timedelta(days=9), "body": ""}
    mailing = MailingFactory.create(owner=user)
    run = create_run(mailing, {DeliveryState.SENT: 5}, track_clicks=True, details_removed_at=NOW, **ended)
    session.add(RunLink(run_id=run.id, number=1, url="https://shop.example/"))
    session.flush()
    hits = [
        NotedHit(run.id, letter, 1, to_milliseconds(NOW), Visitor.PERSON)
        for letter in list_letters(session, run.id)
    ]
    with app.app_context():
        with db.engine.begin() as connection:
            take_turn(connection, NOW)
            store_clicks(connection, count_clicks(connection, hits), NOW)
            assert remove_letters(run.id) == (5, 0)
        remove_old_details(NOW - timedelta(days=1), NOW, TimeBudget(30))
    session.expire_all()
    assert not session.get_one(Run, run.id).has_details
    for detail in (Click, Engagement):
        assert session.scalars(select(detail)).all() == []


def list_letters(session: Session, run_id: int) -> list[int]:
    return list(session.scalars(select(Delivery.id).where(Delivery.run_id == run_id)))
