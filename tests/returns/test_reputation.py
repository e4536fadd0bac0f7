"""Test that returned letters and complaints pause an owner's mailings, and what counts towards that."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.delivery import reputation
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.mailings.tasks import post_pause_notices
from skymailing.models import Mailing, MailingState, UsageHour, UsageKind, User
from skymailing.quotas import counting
from tests.returns.scenes import Desk
from tests.support.factories import ClientFactory, MailingFactory


@pytest.fixture
def desk(app: Flask, session: Session, user: User) -> Desk:
    return Desk(app, session, user)


@pytest.fixture
def mailing(user: User) -> Mailing:
    return MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow())


def count_letters(desk: Desk, count: int, days_ago: int = 0) -> None:
    """Count letters that the user's mailings sent."""
    at = utcnow() - timedelta(days=days_ago)
    with desk.app.app_context(), db.engine.begin() as connection:
        counting.add(connection, desk.user.id, UsageKind.LETTERS, count, at)


def check(desk: Desk, mailing: Mailing) -> str:
    """Do what a sweep does; return why the mailing is paused."""
    with desk.app.app_context():
        reputation.check_changed(utcnow())
    desk.session.expire_all()
    assert (mailing.state is MailingState.PAUSED) == bool(mailing.state_reason)
    return mailing.state_reason


def test_complaints_about_more_than_three_letters_of_a_thousand_pause(desk: Desk, mailing: Mailing) -> None:
    count_letters(desk, 1000)
    for _ in range(3):
        desk.ingest(desk.complain(desk.send()))
    assert not check(desk, mailing)

    desk.ingest(desk.complain(desk.send()))
    assert check(desk, mailing) == "too-many-complaints: 4/1000"


def test_a_letter_counts_for_the_hour_in_which_it_was_sent(desk: Desk, mailing: Mailing) -> None:
    count_letters(desk, 100, days_ago=3)
    old = [desk.send(days_ago=3) for _ in range(12)]
    count_letters(desk, 1000)
    for delivery in old:
        desk.ingest(desk.bounce(delivery))
    assert not check(desk, mailing), "later letters arrived"

    for _ in range(51):
        desk.ingest(desk.bounce(desk.send()))
    assert check(desk, mailing) == "too-many-bounces: 51/1000"


def test_a_small_shop_and_one_angry_client_pause_nothing(desk: Desk, mailing: Mailing) -> None:
    count_letters(desk, 99)
    for _ in range(12):
        desk.ingest(desk.bounce(desk.send()))
    assert not check(desk, mailing)

    count_letters(desk, 500)
    client = ClientFactory.create(owner=desk.user)
    for delivery in [desk.send(client) for _ in range(4)]:
        desk.ingest(desk.complain(delivery))
    assert not check(desk, mailing)


def test_after_a_resume_only_later_letters_count(desk: Desk, mailing: Mailing) -> None:
    count_letters(desk, 200)
    before = [desk.send() for _ in range(24)]
    for delivery in before[:12]:
        desk.ingest(desk.bounce(delivery))
    assert check(desk, mailing) == "too-many-bounces: 12/200"

    with desk.app.app_context():
        services.resume_mailing(db.session.get_one(Mailing, mailing.id), utcnow(), current_actor())
        db.session.commit()
    for delivery in before[12:]:
        desk.ingest(desk.bounce(delivery))
    count_letters(desk, 150)
    assert not check(desk, mailing)

    for _ in range(10):
        desk.ingest(desk.bounce(desk.send()))
    assert check(desk, mailing) == "too-many-bounces: 10/150"


@pytest.mark.one_engine
def test_counts_are_kept_while_reputations_need_them(desk: Desk) -> None:
    for days_ago in (1, 30, 32):
        count_letters(desk, 10, days_ago)
    with desk.app.app_context():
        counting.delete_old(utcnow())
        assert sum(db.session.scalars(select(UsageHour.count))) == 20


def test_starting_another_mailing_after_the_notice_restarts_the_count(desk: Desk, mailing: Mailing) -> None:
    count_letters(desk, 200)
    for _ in range(12):
        desk.ingest(desk.bounce(desk.send()))
    assert check(desk, mailing)
    drafts = [MailingFactory.create(owner=desk.user, state=MailingState.DRAFT) for _ in range(2)]
    stopped = MailingFactory.create(owner=desk.user, state=MailingState.PAUSED)

    def bounce_once_more(other: Mailing) -> str:
        desk.ingest(desk.bounce(desk.send()))
        return check(desk, other)

    with desk.app.app_context():
        services.cancel_mailing(db.session.get_one(Mailing, mailing.id), utcnow())
        services.activate_mailing(db.session.get_one(Mailing, drafts[0].id), utcnow())
        db.session.commit()
    assert bounce_once_more(drafts[0]), "the owner did not know of the pause"

    with desk.app.app_context():
        assert post_pause_notices() == 1
        services.start_now(db.session.get_one(Mailing, drafts[1].id), utcnow(), None)
        db.session.commit()
    assert not bounce_once_more(drafts[1])

    count_letters(desk, 100)
    for _ in range(10):
        desk.ingest(desk.bounce(desk.send()))
    assert check(desk, drafts[1]) == "too-many-bounces: 11/100"
    with desk.app.app_context():
        post_pause_notices()
        services.resume_mailing(db.session.get_one(Mailing, stopped.id), utcnow(), current_actor())
        db.session.commit()
    assert not bounce_once_more(stopped), "the owner had paused this one"
