"""Test creating and changing mailings from plain values; errors have codes and field names."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.mailings.errors import DuplicateSubmission, InvalidMailing, MailingError
from skymailing.mailings.selection import Selection
from skymailing.mailings.values import MailingValues
from skymailing.models import Audience, DeliveryState, Mailing, MailingState, RunState, User
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run

NOW = utcnow().replace(microsecond=0)


def make_values(message_id: int | None, **changes: Any) -> MailingValues:
    """Return valid values for a mailing to all clients that starts immediately and ends in a day."""
    fields = {"name": "News", "message_id": message_id, "ends_at": NOW + timedelta(days=1)}
    return MailingValues(**fields | changes)


def create(owner: User, values: MailingValues, **options: Any) -> Mailing:
    return services.create_mailing(db.session.get_one(User, owner.id), values, NOW, **options)


def test_a_mailing_is_created_and_scheduled_without_a_request(app: Flask, user: User) -> None:
    client, message = ClientFactory.create(owner=user), MessageFactory.create(owner=user)
    ClientFactory.create(owner=user)
    with app.app_context():
        selected = {"audience": Audience.SELECTED, "clients": Selection.of([client.id])}
        mailing = create(user, make_values(message.id, name=" News ", weekdays="51", **selected))
        assert (mailing.name, mailing.weekdays) == ("News", "15")
        assert (mailing.state, mailing.starts_at, mailing.next_run_at) == (MailingState.SCHEDULED, NOW, NOW)
        assert [
            recipient.id for recipient in db.session.scalars(find_recipients(mailing, utcnow()).clients)
        ] == [client.id]
        draft = create(user, make_values(message.id), is_draft=True)
        assert (draft.state, draft.next_run_at) == (MailingState.DRAFT, None)
        db.session.rollback()


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"name": " "}, "name", "mailing_name_missing"),
        ({"name": "x" * 201}, "name", "mailing_text_too_long"),
        ({"sender_name": "a\r\nBcc: b@example.com"}, "sender_name", "mailing_text_not_one_line"),
        ({"message_id": None}, "message_id", "mailing_message_missing"),
        ({"message_id": 999_999}, "message_id", "mailing_message_unknown"),
        ({"audience": Audience.SELECTED}, "clients", "mailing_clients_missing"),
        (
            {"audience": Audience.SELECTED, "clients": Selection.of([10**6])},
            "clients",
            "mailing_clients_unknown",
        ),
        ({"ends_at": None}, "ends_at", "mailing_end_missing"),
        ({"starts_at": NOW - timedelta(hours=1)}, "starts_at", "mailing_start_past"),
        ({"ends_at": NOW}, "ends_at", "mailing_end_past"),
        ({"starts_at": NOW + timedelta(days=2)}, "ends_at", "mailing_end_before_start"),
        ({"ends_at": NOW.replace(year=9999)}, "ends_at", "mailing_year_out_of_range"),
        ({"weekdays": "8"}, "weekdays", "mailing_weekdays_unknown"),
        ({"opens_at": time(9)}, "opens_at", "mailing_hours_incomplete"),
        ({"closes_at": time(9)}, "closes_at", "mailing_hours_incomplete"),
        ({"opens_at": time(9), "closes_at": time(9)}, "closes_at", "mailing_hours_empty"),
    ],
)
def test_an_invalid_value_is_reported_by_field_and_code(
    app: Flask, user: User, session: Session, changes: dict[str, Any], field: str, code: str
) -> None:
    message_id = MessageFactory.create(owner=user).id
    with app.app_context():
        with pytest.raises(InvalidMailing) as raised:
            create(user, make_values(**{"message_id": message_id} | changes))
        db.session.rollback()
    assert {name: error.code for name, error in raised.value.errors.items()} == {field: code}
    assert session.scalar(select(Mailing.id)) is None


def test_all_invalid_values_are_reported_together(app: Flask, user: User) -> None:
    with app.app_context(), pytest.raises(InvalidMailing) as raised:
        create(user, MailingValues())
    assert raised.value.code == "mailing_invalid"
    assert set(raised.value.errors) == {"name", "message_id", "ends_at"}


def test_a_second_submission_of_a_page_is_reported_with_the_first_mailing(app: Flask, user: User) -> None:
    message_id = MessageFactory.create(owner=user).id
    opened_at: datetime = utcnow() - timedelta(minutes=1)
    with app.app_context():
        first = create(user, make_values(message_id), opened_at=opened_at)
        with pytest.raises(DuplicateSubmission) as raised:
            create(user, make_values(message_id), opened_at=opened_at)
        assert raised.value.mailing_id == first.id
        db.session.rollback()


def test_a_mailing_that_has_run_keeps_its_content(app: Flask, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.SENT: 1})
    message_id, starts_at = mailing.message_id, mailing.starts_at
    with app.app_context():
        saved = db.session.get_one(Mailing, mailing.id)
        changes: dict[str, Any] = {
            "name": "Renamed",
            "sender_name": "a\nb",
            "starts_at": NOW + timedelta(days=9),
            "message_id": None,
        }
        services.update_mailing(saved, make_values(**changes), NOW)
        assert (saved.name, saved.message_id, saved.starts_at) == ("Renamed", message_id, starts_at)
        db.session.rollback()


@pytest.mark.parametrize(
    ("state", "disabled_at", "code"),
    [(MailingState.CANCELLED, None, "mailing_cancelled"), (MailingState.DRAFT, NOW, "mailing_disabled")],
)
def test_a_change_to_a_mailing_that_cannot_be_edited_is_rejected(
    app: Flask, user: User, state: MailingState, disabled_at: datetime | None, code: str
) -> None:
    mailing = MailingFactory.create(owner=user, state=state, disabled_at=disabled_at)
    with app.app_context():
        saved = db.session.get_one(Mailing, mailing.id)
        with pytest.raises(MailingError, match=code):
            services.update_mailing(saved, make_values(mailing.message_id), NOW)
        db.session.rollback()


def test_an_end_in_the_past_does_not_stop_a_run(app: Flask, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.PENDING: 1}, state=RunState.SENDING)
    with app.app_context():
        saved = db.session.get_one(Mailing, mailing.id)
        with pytest.raises(InvalidMailing) as raised:
            services.update_mailing(
                saved, make_values(mailing.message_id, ends_at=NOW - timedelta(days=1)), NOW
            )
        assert raised.value.errors["ends_at"].code == "mailing_end_stops_run"
        db.session.rollback()


def test_a_start_that_passed_while_the_form_was_filled_in_means_now(app: Flask, user: User) -> None:
    message = MessageFactory.create(owner=user)
    with app.app_context():
        mailing = create(user, make_values(message.id, starts_at=NOW - timedelta(minutes=5)))
        assert mailing.state is MailingState.SCHEDULED
        db.session.rollback()


@pytest.mark.parametrize(("state", "is_rejected"), [(MailingState.DRAFT, True), (MailingState.PAUSED, False)])
def test_only_a_mailing_that_has_started_keeps_a_past_start(
    app: Flask, user: User, state: MailingState, is_rejected: bool
) -> None:
    starts_at = NOW - timedelta(days=1)
    mailing = MailingFactory.create(
        owner=user, state=state, starts_at=starts_at, ends_at=NOW + timedelta(days=1)
    )
    values = make_values(mailing.message_id, starts_at=starts_at, name="Renamed")
    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        if is_rejected:
            with pytest.raises(InvalidMailing):
                services.update_mailing(own, values, NOW)
        else:
            services.update_mailing(own, values, NOW)
            assert own.name == "Renamed"
        db.session.rollback()
