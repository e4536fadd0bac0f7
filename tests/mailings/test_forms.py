"""Test what the mailing form saves and which errors it shows."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.mailings import queries
from skymailing.models import Audience, Mailing, MailingState, OnUnknown, Periodicity, User
from tests.conftest import SignIn
from tests.mailings.pages import format_local, get_field_error, get_value, mailing_fields, utc_time
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory

# Forms are validated in Python.
pytestmark = pytest.mark.one_engine


def get_only_mailing(session: Session) -> Mailing:
    session.expire_all()
    return session.scalars(select(Mailing)).one()


def no_mailing_exists(session: Session) -> bool:
    return session.scalar(select(Mailing.id)) is None


@pytest.mark.both_engines
def test_a_mailing_is_saved_as_entered(browser: FlaskClient, user: User, session: Session) -> None:
    message = MessageFactory.create(owner=user)
    clients = [ClientFactory.create(owner=user) for _ in range(3)]
    fields = mailing_fields(
        message,
        name="  Новости  ",
        audience="selected",
        clients=[clients[0].id, clients[2].id],
        sender_name="Мастерская «Ёлка» 🎄",
        starts_at="2027-05-01T10:00",
        ends_at="2027-05-02T10:00:30",
        periodicity="daily",
        on_unknown="hold",
    )
    response = browser.post("/mailings/new", data=fields)
    mailing = get_only_mailing(session)
    assert response.location == f"/mailings/{mailing.id}"
    assert (mailing.name, mailing.message_id) == ("Новости", message.id)
    assert mailing.sender_name == "Мастерская «Ёлка» 🎄"
    assert mailing.audience is Audience.SELECTED
    assert mailing.starts_at == utc_time("2027-05-01T10:00")
    assert mailing.ends_at == utc_time("2027-05-02T10:00:30")
    assert (mailing.periodicity, mailing.on_unknown) == (Periodicity.DAILY, OnUnknown.HOLD)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, utc_time("2027-05-01T10:00"))
    form = browser.get(f"/mailings/{mailing.id}/edit").text
    assert f'value="{clients[0].id}" id="client-{clients[0].id}" checked' in form
    assert f'id="client-{clients[1].id}" checked' not in form


def test_the_draft_button_saves_a_draft(browser: FlaskClient, user: User, session: Session) -> None:
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user), draft="1"))
    mailing = get_only_mailing(session)
    assert (mailing.state, mailing.next_run_at) == (MailingState.DRAFT, None)


def test_a_mailing_without_a_name_gets_the_subject(
    browser: FlaskClient, user: User, session: Session
) -> None:
    MessageFactory.create(owner=user, subject="Another")
    message = MessageFactory.create(owner=user, subject="Fresh bread " * 18)
    browser.post("/mailings/new", data=mailing_fields(message, name=" "))
    name = get_only_mailing(session).name
    assert name == ("Fresh bread " * 18)[:200].strip()


def test_an_empty_start_means_now(browser: FlaskClient, user: User, session: Session) -> None:
    before = utcnow()
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user)))
    mailing = get_only_mailing(session)
    assert before <= mailing.starts_at <= utcnow()
    assert mailing.next_run_at == mailing.starts_at


@pytest.mark.both_engines
def test_times_are_in_the_users_time_zone(sign_in: SignIn, session: Session) -> None:
    owner = UserFactory.create(timezone="Europe/Moscow")
    fields = mailing_fields(
        MessageFactory.create(owner=owner), starts_at="2027-05-01T10:00", ends_at="2027-05-02T10:00"
    )
    browser = sign_in(owner)
    page = browser.post("/mailings/new", data=fields, follow_redirects=True)
    assert get_only_mailing(session).starts_at == utc_time("2027-05-01T07:00")
    assert "1 May 2027, 10:00" in page.text
    form = browser.get(f"/mailings/{get_only_mailing(session).id}/edit")
    assert get_value(form, "starts_at") == "2027-05-01T10:00"
    assert "Europe/Moscow" in form.text


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"name": "x" * 201}, "name", "200"),
        ({"name": "two\nlines"}, "name", "one line"),
        ({"sender_name": "Evil\r\nBcc: x@example.com"}, "sender_name", "one line"),
        ({"message": ""}, "message", "Choose a message"),
        ({"message": "no number"}, "message", "Choose a message"),
        ({"message": "999999"}, "message", "does not exist"),
        ({"audience": "everybody"}, "audience", "valid"),
        ({"periodicity": "hourly"}, "periodicity", "valid"),
        ({"on_unknown": "shrug"}, "on_unknown", "valid"),
        ({"starts_at": "tomorrow"}, "starts_at", "date and a time"),
        ({"ends_at": ""}, "ends_at", "when sending ends"),
        ({"ends_at": "2027-02-30T10:00"}, "ends_at", "date and a time"),
        ({"starts_at": "2027-05-02T10:00", "ends_at": "2027-05-01T10:00"}, "ends_at", "after the start"),
        ({"starts_at": "2027-05-01T10:00", "ends_at": "2027-05-01T10:00"}, "ends_at", "after the start"),
        ({"ends_at": "2020-05-01T10:00"}, "ends_at", "in the future"),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nothing_is_saved(
    browser: FlaskClient, user: User, session: Session, changes: dict[str, Any], field: str, expected: str
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user), sender_name="Typed earlier") | changes
    response = browser.post("/mailings/new", data=fields)
    assert response.status_code == 200
    assert expected in get_field_error(response, field)
    assert no_mailing_exists(session)
    for name in ("sender_name", "ends_at", "starts_at"):
        assert get_value(response, name).split() == fields[name].split()


def test_another_owners_message_cannot_be_chosen(browser: FlaskClient, user: User, session: Session) -> None:
    MessageFactory.create(owner=user)
    response = browser.post("/mailings/new", data=mailing_fields(MessageFactory.create()))
    assert "does not exist" in get_field_error(response, "message")
    assert no_mailing_exists(session)


@pytest.mark.both_engines
def test_a_message_deleted_while_the_form_was_open_must_be_chosen_again(
    browser: FlaskClient, user: User, session: Session
) -> None:
    other, message = MessageFactory.create(owner=user), MessageFactory.create(owner=user)
    fields = mailing_fields(message)
    assert browser.post(f"/messages/{message.id}/delete").status_code == 302
    response = browser.post("/mailings/new", data=fields)
    assert "This message does not exist. Choose another." in get_field_error(response, "message")
    assert no_mailing_exists(session)
    browser.post("/mailings/new", data=fields | {"message": other.id})
    assert get_only_mailing(session).message_id == other.id


@pytest.mark.parametrize("kind", ["foreign", "unknown", "words", "range"])
def test_another_owners_client_cannot_be_chosen(
    browser: FlaskClient, user: User, session: Session, kind: str
) -> None:
    own, foreign = ClientFactory.create(owner=user), ClientFactory.create()
    forged = {"foreign": foreign.id, "unknown": 10**15, "words": "me", "range": "1-9223372036854775807"}[kind]
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected", clients=[own.id, forged])
    response = browser.post("/mailings/new", data=fields)
    assert "One of the clients does not exist" in response.text
    assert no_mailing_exists(session)
    assert foreign.email not in response.text


def test_a_selection_needs_at_least_one_client(browser: FlaskClient, user: User, session: Session) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected")
    assert "Choose at least one client" in browser.post("/mailings/new", data=fields).text
    assert no_mailing_exists(session)


def test_a_time_that_a_clock_change_skips_is_rejected(sign_in: SignIn, session: Session) -> None:
    owner = UserFactory.create(timezone="Europe/Berlin")
    fields = mailing_fields(
        MessageFactory.create(owner=owner), starts_at="2027-03-28T02:30", ends_at="2027-04-28T02:30"
    )
    response = sign_in(owner).post("/mailings/new", data=fields)
    assert "does not exist on that day" in get_field_error(response, "starts_at")
    assert no_mailing_exists(session)


@pytest.mark.both_engines
def test_saving_the_form_unchanged_keeps_times_in_a_repeated_hour(sign_in: SignIn, session: Session) -> None:
    owner = UserFactory.create(timezone="Europe/Berlin")
    second = utc_time("2026-10-25T01:30")  # 02:30 in Berlin, the second time on that day
    mailing = MailingFactory.create(
        owner=owner, starts_at=second, ends_at=second + timedelta(days=364, hours=1)
    )
    browser = sign_in(owner)
    page = browser.get(f"/mailings/{mailing.id}/edit")
    times = {name: get_value(page, name) for name in ("starts_at", "ends_at")}
    assert times["starts_at"] == "2026-10-25T02:30"
    before = mailing.starts_at, mailing.ends_at
    browser.post(f"/mailings/{mailing.id}/edit", data=mailing_fields(mailing.message, draft="1", **times))
    session.refresh(mailing)
    assert (mailing.starts_at, mailing.ends_at) == before


def test_an_owner_without_messages_is_asked_to_write_one(browser: FlaskClient) -> None:
    page = browser.get("/mailings/new").text
    assert "/messages/new" in page
    assert "ends_at" not in page


def test_editing_changes_the_mailing_and_its_next_start(
    browser: FlaskClient, user: User, session: Session
) -> None:
    message = MessageFactory.create(owner=user)
    later = utcnow() + timedelta(days=3)
    browser.post(
        "/mailings/new", data=mailing_fields(message, starts_at=format_local(utcnow() + timedelta(hours=5)))
    )
    mailing = get_only_mailing(session)
    times = {"starts_at": format_local(later), "ends_at": format_local(later + timedelta(hours=1))}
    fields = mailing_fields(message, name="Renamed", **times)
    response = browser.post(f"/mailings/{mailing.id}/edit", data=fields)
    assert response.location == f"/mailings/{mailing.id}"
    mailing = get_only_mailing(session)
    assert (mailing.name, format_local(mailing.starts_at)) == ("Renamed", format_local(later))
    assert mailing.next_run_at == mailing.starts_at


def test_an_invalid_edit_changes_nothing(browser: FlaskClient, user: User, session: Session) -> None:
    message = MessageFactory.create(owner=user)
    browser.post("/mailings/new", data=mailing_fields(message, draft="1"))
    mailing = get_only_mailing(session)
    response = browser.post(
        f"/mailings/{mailing.id}/edit", data=mailing_fields(message, name="New", ends_at="")
    )
    assert get_field_error(response, "ends_at")
    assert get_only_mailing(session).name == "Осенние скидки"


def test_the_owner_and_state_cannot_be_set_through_the_form(
    browser: FlaskClient, user: User, session: Session
) -> None:
    forged = {"owner_id": "1", "state": "finished", "disabled_at": "2020-01-01T00:00", "draft": "1"}
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user)) | forged)
    mailing = get_only_mailing(session)
    assert (mailing.owner_id, mailing.state) == (user.id, MailingState.DRAFT)
    assert not mailing.is_disabled


@pytest.mark.both_engines
def test_an_old_message_stays_selected_among_many_newer_ones(
    browser: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MESSAGES_LISTED", 2)
    old = MessageFactory.create(owner=user)
    browser.post("/mailings/new", data=mailing_fields(old, draft="1"))
    mailing = session.scalars(select(Mailing)).one()
    for _ in range(2):
        MessageFactory.create(owner=user)

    assert get_value(browser.get(f"/mailings/{mailing.id}/edit"), "message") == str(old.id)
    assert get_value(browser.get(f"/mailings/new?message={old.id}"), "message") == str(old.id)
    foreign = MessageFactory.create()
    assert get_value(browser.get(f"/mailings/new?message={foreign.id}"), "message") != str(foreign.id)


@pytest.mark.both_engines
def test_clients_are_found_by_an_international_domain(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    ClientFactory.create(owner=user, email="ivan@xn--e1afmkfd.xn--p1ai")

    page = browser.post(
        "/mailings/new", data={"pick": "search", "client_query": "@ПРИМЕР.рф", "message": message.id}
    )

    assert "ivan@пример.рф" in page.text
