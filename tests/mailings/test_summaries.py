"""Test the daily summary, which is sent at the owner's hour if anything was sent in the last day."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.models import DeliveryState, User
from tests.conftest import SignIn
from tests.support.factories import MailingFactory, UserFactory, create_run
from tests.support.servers import SmtpServer

Work = Callable[[], None]
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def sweep_at(app: Flask, work: Work) -> Callable[[datetime], None]:
    def sweep(at: datetime) -> None:
        with time_machine.travel(at), app.app_context():
            jobs.run_sweep(utcnow())
            work()

    return sweep


def request_summary(user: User, sign_in: SignIn, hour: str, now: datetime = NOON) -> None:
    with time_machine.travel(now):
        page = sign_in(user).post(
            "/auth/profile",
            data={"name": user.name, "locale": "en", "timezone": user.timezone} | {"summary_hour": hour},
        )
    assert page.status_code == 302


def read_letters(smtp: SmtpServer, user: User) -> list[str]:
    letters = [letter for letter in smtp.letters if letter.to == user.email]
    parsed = [message_from_bytes(letter.content, policy=policy.default) for letter in letters]
    return [f"{message['Subject']}\n{get_plain_text(message)}".replace("\r\n", "\n") for message in parsed]


def get_plain_text(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_the_summary_is_sent_at_the_owners_hour_and_covers_the_last_day(
    session: Session, smtp: SmtpServer, sign_in: SignIn, sweep_at: Callable[[datetime], None]
) -> None:
    owner = UserFactory.create(timezone="Asia/Kathmandu")  # 18:00 there is 12:15 in UTC
    mailing = MailingFactory.create(owner=owner, name="Осенние новости")
    create_run(
        mailing,
        {DeliveryState.SENT: 5, DeliveryState.FAILED: 2, DeliveryState.EXPIRED: 1},
        scheduled_for=NOON - timedelta(hours=20),
    )
    create_run(mailing, {DeliveryState.SENT: 3}, scheduled_for=NOON - timedelta(hours=24))
    request_summary(owner, sign_in, "18")

    sweep_at(NOON + timedelta(minutes=14))
    assert read_letters(smtp, owner) == []

    for _attempt in range(2):
        sweep_at(NOON + timedelta(minutes=15))
    (letter,) = read_letters(smtp, owner)
    assert letter.startswith("Daily summary: 5 emails sent")
    assert "from 2026-11-22 18:00 to 2026-11-23 18:00" in letter
    assert "Осенние новости\n  sent: 5, not delivered: 2, not sent in time: 1\n" in letter
    assert f"http://sky.example/mailings/{mailing.id}" in letter

    sweep_at(NOON + timedelta(days=1, minutes=15))
    assert len(read_letters(smtp, owner)) == 1, "nothing more has been sent"


def test_no_summary_is_sent_if_it_is_off_or_the_owner_is_blocked(
    session: Session, smtp: SmtpServer, sign_in: SignIn, sweep_at: Callable[[datetime], None]
) -> None:
    silent, blocked = UserFactory.create(), UserFactory.create()
    request_summary(silent, sign_in, "")
    request_summary(blocked, sign_in, "13")
    blocked.blocked_at = NOON
    session.flush()
    for owner in (silent, blocked):
        create_run(MailingFactory.create(owner=owner), {DeliveryState.SENT: 1}, scheduled_for=NOON)
    sweep_at(NOON + timedelta(hours=1))
    assert read_letters(smtp, silent) == read_letters(smtp, blocked) == []


@pytest.mark.one_engine
def test_after_a_long_downtime_the_summary_covers_the_latest_day(
    session: Session, smtp: SmtpServer, sign_in: SignIn, sweep_at: Callable[[datetime], None]
) -> None:
    owner = UserFactory.create()
    request_summary(owner, sign_in, "13")
    mailing = MailingFactory.create(owner=owner)
    create_run(mailing, {DeliveryState.SENT: 7}, scheduled_for=NOON)
    create_run(mailing, {DeliveryState.SENT: 2}, scheduled_for=NOON + timedelta(days=6))
    sweep_at(NOON + timedelta(days=6, hours=5))
    (letter,) = read_letters(smtp, owner)
    assert letter.startswith("Daily summary: 2 emails sent")


def test_saving_the_profile_does_not_lose_a_due_summary(
    session: Session, smtp: SmtpServer, sign_in: SignIn, sweep_at: Callable[[datetime], None]
) -> None:
    owner = UserFactory.create()
    request_summary(owner, sign_in, "13")
    create_run(MailingFactory.create(owner=owner), {DeliveryState.SENT: 4}, scheduled_for=NOON)
    request_summary(owner, sign_in, "13", NOON + timedelta(hours=1, seconds=5))
    sweep_at(NOON + timedelta(hours=1, seconds=20))
    assert [letter.split("\n")[0] for letter in read_letters(smtp, owner)] == ["Daily summary: 4 emails sent"]


@pytest.mark.one_engine
def test_an_hour_skipped_by_a_clock_change_still_gets_its_summary(
    session: Session, smtp: SmtpServer, sign_in: SignIn, sweep_at: Callable[[datetime], None]
) -> None:
    owner = UserFactory.create(timezone="Europe/Berlin")
    saturday = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
    request_summary(owner, sign_in, "2", saturday)
    session.refresh(owner)
    assert owner.next_summary_at == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    create_run(MailingFactory.create(owner=owner), {DeliveryState.SENT: 4}, scheduled_for=saturday)
    for days in range(3):
        sweep_at(datetime(2027, 3, 28, 1, 0, 1, tzinfo=UTC) + timedelta(days=days))
    assert len(read_letters(smtp, owner)) == 1
    session.refresh(owner)
    assert owner.next_summary_at == datetime(2027, 3, 31, 0, 0, tzinfo=UTC)


def test_a_new_time_zone_moves_the_summary_hour(session: Session, user: User, sign_in: SignIn) -> None:
    request_summary(user, sign_in, "9")
    session.refresh(user)
    assert user.next_summary_at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    user.timezone = "Europe/Moscow"
    request_summary(user, sign_in, "9")
    session.refresh(user)
    assert user.next_summary_at == datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
