"""Test the pages of sequences in a browser without JavaScript."""

import re
from datetime import time, timedelta

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from skymailing.backups.after_restore import pause_mailings
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    EnrolmentState,
    Message,
    OnLate,
    Segment,
    Sequence,
    SequenceState,
    Trigger,
    UsageHour,
    UsageKind,
    User,
    WaitUnit,
)
from skymailing.quotas.counting import hour_of
from skymailing.sequences import steps
from tests.conftest import SetLimits
from tests.support.factories import ClientFactory, MessageFactory
from tests.support.sequence_factories import NOON, Sequences, days
from tests.support.signup_factories import SignupFormFactory

pytestmark = pytest.mark.one_engine


def soup(response: TestResponse) -> BeautifulSoup:
    assert response.status_code == 200, response.text
    return BeautifulSoup(response.text, "html.parser")


def read_fields(page: BeautifulSoup) -> dict[str, str]:
    """Return the fields of the page's form, as a browser sends them unchanged."""
    fields = {}
    for item in page.select("main form [name]"):
        if item.name == "select":
            chosen = item.select_one("option[selected]") or item.select_one("option")
            fields[str(item["name"])] = str(chosen["value"]) if chosen else ""
        elif item.get("type") != "checkbox" or item.has_attr("checked"):
            fields[str(item["name"])] = str(item.get("value", ""))
    return fields


def submit(browser: FlaskClient, path: str, **changes: str) -> TestResponse:
    """Submit the form of a page with some fields changed."""
    return browser.post(path, data=read_fields(soup(browser.get(path))) | changes)


def only_sequence(sequences: Sequences) -> Sequence:
    return sequences.session.scalars(select(Sequence).execution_options(populate_existing=True)).one()


def test_a_welcome_sequence_is_created_with_two_forms(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    form = SignupFormFactory.create(owner=user)
    assert "kind=welcome" in soup(browser.get("/sequences/")).decode()
    response = submit(browser, "/sequences/new?kind=welcome")
    assert response.status_code == 302
    browser.post(response.location + "/start")
    sequence = only_sequence(sequences)
    assert (sequence.state, sequence.trigger, sequence.form_id) == (
        SequenceState.ACTIVE,
        Trigger.FORM,
        form.id,
    )
    waits = [(step.wait, step.wait_unit, step.at_time) for step in sequences.list_steps(sequence)]
    assert waits == [(0, WaitUnit.DAYS, None), (3, WaitUnit.DAYS, time(10))]
    page = soup(browser.get(response.location)).get_text(" ", strip=True)
    assert "At once" in page
    assert "3 days later at 10:00" in page
    assert len(sequences.session.scalars(select(Message)).all()) == 2


@pytest.mark.parametrize("kind", ["welcome", "birthday", "miss", "empty"])
def test_each_ready_made_sequence_can_be_created(
    browser: FlaskClient, sequences: Sequences, user: User, kind: str
) -> None:
    ClientFactory.create(owner=user, attributes={"birthday": "1990-03-02"})
    response = submit(browser, f"/sequences/new?kind={kind}", name="Mine")
    assert response.status_code == 302, response.text
    sequence = only_sequence(sequences)
    assert sequence.name == "Mine"
    if kind == "birthday":
        assert (sequence.date_key, sequence.is_yearly, sequence.on_late) == ("birthday", True, OnLate.SKIP)
    assert browser.get(response.location).status_code == 200


def test_settings_are_saved_and_shown(browser: FlaskClient, sequences: Sequences, user: User) -> None:
    tag = sequences.tag("lead")
    segment = Segment(owner_id=user.id, name="VIP", conditions={"field": "email", "op": "is_set"})
    sequences.session.add(segment)
    sequences.session.flush()
    sequence = sequences.create(days(0), is_started=False)
    path = f"/sequences/{sequence.id}/edit"
    changes = {
        "start": f"tag:{tag.id}",
        "exit": f"segment:{segment.id}",
        "reenter_days": "30",
        "opens_at": "09:00",
        "closes_at": "18:00",
    }
    assert submit(browser, path, **changes).status_code == 302
    sequences.session.refresh(sequence)
    assert (sequence.tag_id, sequence.reenter_days, sequence.opens_at) == (tag.id, 30, time(9))
    assert sequence.exit_conditions == segment.conditions
    assert submit(browser, path, name="Renamed").status_code == 302
    sequences.session.refresh(sequence)
    assert (sequence.name, sequence.exit_conditions) == ("Renamed", segment.conditions)
    assert "Enter two different times" in submit(browser, path, closes_at="").text
    stale = submit(browser, path, version="1")
    assert "another window" in stale.text


def test_emails_are_added_edited_moved_and_removed(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    tag = sequences.tag("lead")
    message = MessageFactory.create(owner=user, subject="Second")
    sequence = sequences.create(days(0))
    new = f"/sequences/{sequence.id}/steps/new"
    assert (
        submit(browser, new, message=str(message.id), wait="2", condition=f"tag:{tag.id}").status_code == 302
    )
    first, second = sequences.list_steps(sequence)
    assert (second.wait, second.conditions) == (2, {"field": "tag", "op": "is", "value": "lead"})
    assert submit(browser, f"/sequences/steps/{second.id}/edit", at_time="08:30").status_code == 302
    browser.post(f"/sequences/steps/{second.id}/up")
    assert [step.id for step in sequences.list_steps(sequence)] == [second.id, first.id]
    assert sequences.list_steps(sequence)[0].at_time == time(8, 30)
    page = soup(browser.get(f"/sequences/{sequence.id}")).get_text(" ", strip=True)
    assert page.index("Second") < page.index("Привет")
    browser.post(f"/sequences/steps/{first.id}/remove")
    assert [step.id for step in sequences.list_steps(sequence)] == [second.id]
    assert "wait" in soup(browser.post(new, data={"message": message.id, "wait": "-1"})).decode()


def test_pages_explain_the_effect_of_a_change_on_waiting_clients(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    sequence = sequences.create(days(1), days(1))
    sequences.add(sequence, ClientFactory.create(owner=user))
    step = sequences.list_steps(sequence)[0]
    for path, text in (
        (f"/sequences/{sequence.id}/edit", "1 client is in the sequence and keeps the date"),
        (f"/sequences/steps/{step.id}/edit", "1 client is waiting for this email"),
        (f"/sequences/steps/{step.id}/remove", "will go on to the next email"),
        (f"/sequences/{sequence.id}/archive", "1 client is still in it"),
        (f"/sequences/{sequence.id}/steps/new", "are past this place"),
    ):
        assert text in re.sub(r"\s+", " ", soup(browser.get(path)).get_text(" ")), path


def test_a_sequence_is_paused_continued_archived_and_deleted(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    sequence = sequences.create(days(0))
    states = []
    for action in ("pause", "start", "archive"):
        browser.post(f"/sequences/{sequence.id}/{action}")
        sequences.session.refresh(sequence)
        states.append(sequence.state)
    assert states == [SequenceState.PAUSED, SequenceState.ACTIVE, SequenceState.ARCHIVED]
    assert "Welcome" in browser.get("/sequences/?archived=1").text
    assert browser.post(f"/sequences/{sequence.id}/delete").status_code == 302
    assert not sequences.session.scalars(select(Sequence)).all()


def test_clients_are_added_and_their_progress_changed(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(1), days(1), days(1))
    browser.post(f"/sequences/{sequence.id}/people", data={"email": client.email.upper()})
    enrolment = sequences.find(sequence, client)
    states = []
    for action in ("pause", "resume", "skip", "now", "remove"):
        browser.post(f"/sequences/places/{enrolment.id}", data={"action": action})
        sequences.session.refresh(enrolment)
        states.append(enrolment.state)
    assert states == [
        EnrolmentState.PAUSED,
        EnrolmentState.ACTIVE,
        EnrolmentState.ACTIVE,
        EnrolmentState.ACTIVE,
        EnrolmentState.LEFT,
    ]
    page = soup(browser.get(f"/clients/{client.id}")).select_one("#sequences")
    assert page is not None
    assert {"Welcome", "Start again"} <= set(page.stripped_strings)
    assert not page.select("option"), "there is a button for it"
    browser.post(f"/sequences/places/{enrolment.id}", data={"action": "restart"})
    assert sequences.find(sequence, client).entry == 2
    listed = soup(browser.get(f"/sequences/{sequence.id}/people")).get_text()
    assert listed.count(client.full_name) == 3, "two enrolments, and the subject of the next email"
    assert browser.post(f"/sequences/places/{enrolment.id}", data={"action": "other"}).status_code == 400


def test_a_client_is_added_on_the_clients_page(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    client = ClientFactory.create(owner=user)
    sequence = sequences.create(days(0), now=utcnow())
    assert "Add to the sequence" in browser.get(f"/clients/{client.id}").text
    browser.post(f"/sequences/add-client/{client.id}", data={"sequence": sequence.id})
    assert sequences.find(sequence, client).state == EnrolmentState.ACTIVE
    sequences.sweep(utcnow())
    (step,) = sequences.list_steps(sequence)
    response = browser.get(f"/mailings/{step.mailing_id}")
    assert response.location == f"/sequences/{sequence.id}"
    assert step.mailing.name in browser.get(f"/clients/{client.id}").text


def test_a_deleted_start_is_shown(browser: FlaskClient, sequences: Sequences, user: User) -> None:
    form = SignupFormFactory.create(owner=user)
    sequence = sequences.create(days(0), trigger=Trigger.FORM, form_id=form.id)
    sequences.session.delete(form)
    sequences.session.flush()
    assert "No one enters" in browser.get(f"/sequences/{sequence.id}").text


def test_a_removed_email_is_listed(browser: FlaskClient, sequences: Sequences, user: User) -> None:
    sequence = sequences.create(days(1), days(1))
    sequences.add(sequence, ClientFactory.create(owner=user))
    sequences.change_step(sequences.list_steps(sequence)[0], steps.remove_step, NOON)
    assert "Removed emails" in browser.get(f"/sequences/{sequence.id}").text


def test_after_a_restore_the_page_asks_what_to_send(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    now = utcnow()
    sequence = sequences.create(days(0), days(1), now=now)
    sequences.add(sequence, ClientFactory.create(owner=user), now=now)
    with sequences.app.app_context():
        pause_mailings(now, now + timedelta(hours=1))
        db.session.execute(update(User).values(session_epoch=User.session_epoch - 1))  # stay signed in
        db.session.commit()
    path = f"/sequences/{sequence.id}"
    page = soup(browser.get(path))
    assert "restored from a backup" in page.text
    assert "1 email was due before the restore" in page.text
    assert "are stopped" not in page.text
    assert [button.text for button in page.select("main .flash button")] == [
        "Resume without them",
        "Resume and send them",
    ]
    browser.post(f"{path}/start", data={"uncertain": "send"})
    assert "restored" not in soup(browser.get(path)).text
    sequences.session.refresh(sequence)
    assert sequence.restored_at is None


def test_the_trigger_is_suggested_only_if_there_is_one_choice(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    ClientFactory.create(owner=user, attributes={"bonus": "1250", "city": "Perm", "born": "02.03.1990"})
    user.attribute_types = {"bonus": "number"}
    segment = Segment(owner_id=user.id, name="VIP", conditions={"field": "email", "op": "is_set"})
    sequences.session.add(segment)
    sequences.session.flush()

    birthday = soup(browser.get("/sequences/new?kind=birthday"))
    assert read_fields(birthday)["start"] == "date:born"
    texts = [option.text for option in birthday.select("#start option")]
    assert "Date: bonus" not in texts
    assert "Date: city" not in texts
    path = "/sequences/new?kind=miss"
    assert read_fields(soup(browser.get(path)))["start"] == ""
    refused = submit(browser, path, name="Mine")
    assert "Choose what starts the sequence" in soup(refused).text
    assert submit(browser, path, start=f"segment:{segment.id}").status_code == 302
    assert "no sign-up form yet" in soup(browser.get("/sequences/new?kind=welcome")).text


def test_the_page_says_that_a_limit_is_reached(
    browser: FlaskClient, sequences: Sequences, user: User, set_limits: SetLimits
) -> None:
    now = utcnow()
    sequence = sequences.create(days(0), now=now)
    set_limits(letters_per_day=1)
    sequences.session.add(
        UsageHour(owner_id=user.id, kind=UsageKind.LETTERS, begins_at=hour_of(now), count=1)
    )
    sequences.session.flush()
    path = f"/sequences/{sequence.id}"
    assert "reached the limit" not in soup(browser.get(path)).text
    sequences.add(sequence, ClientFactory.create(owner=user), now=now)
    assert "reached the limit of 1 emails per day" in soup(browser.get(path)).text
