"""Mailings and their actions through the API."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Audience,
    DeliveryState,
    Mailing,
    MailingState,
    Tag,
    User,
    mailing_clients,
)
from tests.api.conftest import MakeProgram, Program
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run, due_mailing

START = utcnow().replace(microsecond=0) + timedelta(days=1)


def values(user: User, **more: Any) -> dict[str, Any]:
    """Return a mailing that starts tomorrow."""
    message = MessageFactory.create(owner=user)
    times = {"starts_at": START.isoformat(), "ends_at": (START + timedelta(days=1)).isoformat()}
    return {"name": "News", "message_id": message.id, "audience": "all", "periodicity": "once"} | times | more


def test_a_mailing_starts_as_in_the_form(program: Program, session: Session, user: User) -> None:
    response = program.post("/mailings", values(user))
    assert response.status_code == 201
    created = response.json
    assert created is not None
    assert response.headers["Location"] == f"/api/v1/mailings/{created['id']}"
    assert (created["state"], created["name"], created["audience"]) == ("scheduled", "News", "all")
    assert datetime.fromisoformat(created["next_run_at"]) == START
    assert program.read(f"/mailings/{created['id']}") == created
    mailing = session.scalars(select(Mailing)).one()
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, START)


def test_all_choices_of_the_form_can_be_made(program: Program, session: Session, user: User) -> None:
    session.add_all(Tag(owner_id=user.id, name=name, name_key=name) for name in ("vip", "new"))
    session.flush()
    choices = {
        "audience": "segments",
        "include": ["tag:vip"],
        "exclude": ["tag:new"],
        "periodicity": "weekly",
        "weekdays": [5, 1],
        "opens_at": "09:00",
        "closes_at": "18:30",
        "on_late": "skip",
        "on_unknown": "resend",
        "sender_name": "Shop",
        "track_clicks": True,
        "track_opens": "day",
    }
    created = program.write("POST", "/mailings", values(user, **choices, draft=True), 201)
    assert {name: created[name] for name in choices} == choices | {"weekdays": [1, 5]}
    assert created["state"] == "draft"
    renamed = program.write("PATCH", f"/mailings/{created['id']}", {"name": "Other"})
    unchanged = created.keys() - {"name", "updated_at"}
    assert {name: renamed[name] for name in unchanged} == {name: created[name] for name in unchanged}


def test_selected_clients_get_a_mailing(program: Program, session: Session, user: User) -> None:
    clients = [ClientFactory.create(owner=user).id for _ in range(3)]
    choices = {"audience": "selected", "clients": clients[:2], "draft": True}
    created = program.write("POST", "/mailings", values(user, **choices), 201)
    program.write("PATCH", f"/mailings/{created['id']}", {"name": "Other"})
    chosen = select(mailing_clients.c.client_id).order_by(mailing_clients.c.client_id)
    assert session.scalars(chosen).all() == clients[:2]
    program.write("PATCH", f"/mailings/{created['id']}", {"clients": clients[2:]})
    assert session.scalars(chosen).all() == clients[2:]


@pytest.mark.parametrize(
    ("change", "place", "code"),
    [
        ({"name": " "}, "/name", "mailing_name_missing"),
        ({"message_id": 999_999}, "/message_id", "mailing_message_unknown"),
        ({"sender_id": 999_999}, "/sender_id", "mailing_sender_unknown"),
        ({"audience": "selected"}, "/clients", "mailing_clients_missing"),
        ({"audience": "selected", "clients": [999_999]}, "/clients", "mailing_clients_unknown"),
        ({"audience": "segments", "include": ["tag:none"]}, "/include/0", "mailing_part_unknown"),
        ({"audience": "segments", "include": ["vip"]}, "/include/0", "mailing_part_unnamed"),
        ({"include": ["tag:vip"]}, "/include", "mailing_other_audience"),
        ({"audience": "selected", "include": ["tag:vip"]}, "/include", "mailing_other_audience"),
        ({"clients": [1]}, "/clients", "mailing_other_audience"),
        ({"audience": "selected", "exclude": ["tag:vip"]}, "/exclude", "mailing_not_this_audience"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at", "mailing_end_before_start"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "/starts_at", "mailing_start_past"),
        ({"starts_at": "2030-01-01T00:00:00"}, "/starts_at", "invalid_value"),
        ({"opens_at": "09:00"}, "/opens_at", "mailing_hours_incomplete"),
        ({"audience": "all_except"}, "/audience", "invalid_value"),
        ({"weekdays": [8]}, "/weekdays/0", "invalid_value"),
        ({"message_id": "1"}, "/message_id", "invalid_value"),
        ({"track_clicks": 1}, "/track_clicks", "invalid_value"),
        ({"state": "running"}, "/state", "unknown_field"),
        ({"owner_id": 1}, "/owner_id", "unknown_field"),
        ({"disabled_at": None}, "/disabled_at", "unknown_field"),
    ],
)
def test_errors_name_the_field(
    program: Program, session: Session, user: User, change: dict[str, Any], place: str, code: str
) -> None:
    response = program.post("/mailings", values(user) | change)
    assert response.status_code == 422
    assert response.json is not None
    assert (place, code) in [(error["pointer"], error["code"]) for error in response.json["errors"]]
    assert session.scalars(select(Mailing)).all() == []


def test_a_choice_of_clients_without_the_audience_is_refused(
    program: Program, session: Session, user: User
) -> None:
    """Otherwise, the mailing would go to all clients."""
    session.add(Tag(owner_id=user.id, name="vip", name_key="vip"))
    session.flush()
    given = values(user, include=["tag:vip"], draft=True)
    del given["audience"]
    refused = (422, "mailing_invalid", ["/include"])
    assert program.refuse("POST", "/mailings", given) == refused
    path = f"/mailings/{program.write('POST', '/mailings', given | {'include': []}, 201)['id']}"
    assert program.read(path)["audience"] == "all"
    assert program.refuse("PATCH", path, {"include": ["tag:vip"]}) == refused
    changed = program.write("PATCH", path, {"audience": "segments", "include": ["tag:vip"]})
    assert (changed["audience"], changed["include"]) == ("segments", ["tag:vip"])
    assert program.write("PATCH", path, {"include": ["tag:vip"]})["audience"] == "segments"


def test_a_message_of_another_owner_does_not_exist(program: Program, user: User) -> None:
    foreign = MessageFactory.create()
    assert program.refuse("POST", "/mailings", values(user, message_id=foreign.id))[2] == ["/message_id"]


def test_a_mailing_is_started_paused_resumed_and_cancelled(
    program: Program, session: Session, user: User
) -> None:
    ClientFactory.create(owner=user)
    path = f"/mailings/{program.write('POST', '/mailings', values(user, draft=True), 201)['id']}"
    assert program.refuse("POST", f"{path}/resume")[:2] == (409, "mailing_not_paused")
    started = program.write("POST", f"{path}/start")
    assert (started["state"], datetime.fromisoformat(started["next_run_at"]) <= utcnow()) == (
        "scheduled",
        True,
    )
    for _ in range(2):  # repeating an action is harmless
        assert program.write("POST", f"{path}/pause")["state"] == "paused"
    assert program.write("POST", f"{path}/resume")["state"] == "scheduled"
    for _ in range(2):
        assert program.write("POST", f"{path}/cancel")["state"] == "cancelled"
    assert program.refuse("POST", f"{path}/start")[:2] == (409, "mailing_not_startable")
    assert program.refuse("PATCH", path, {"name": "x"})[:2] == (409, "mailing_cancelled")


def test_a_mailing_without_recipients_does_not_start(program: Program, user: User) -> None:
    created = program.write("POST", "/mailings", values(user, draft=True), 201)
    refusal = program.refuse("POST", f"/mailings/{created['id']}/start")
    assert refusal[:2] == (409, "mailing_no_recipients")


def test_a_draft_is_scheduled_by_a_change(program: Program, user: User) -> None:
    path = f"/mailings/{program.write('POST', '/mailings', values(user, draft=True), 201)['id']}"
    assert program.write("PATCH", path, {"name": "Still"})["state"] == "draft"
    assert program.write("PATCH", path, {"draft": False})["state"] == "scheduled"


def test_a_mailing_that_was_sent_keeps_its_content(program: Program, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.SENT: 1})
    path = f"/mailings/{mailing.id}"
    other = MessageFactory.create(owner=user)
    change = {"message_id": other.id, "audience": "all"}
    assert program.refuse("PATCH", path, change) == (422, "mailing_invalid", ["/message_id"])
    assert program.write("PATCH", path, {"name": "Old"})["name"] == "Old"
    assert program.refuse("DELETE", path)[:2] == (409, "mailing_has_runs")


def test_an_unsent_mailing_is_deleted(program: Program, session: Session, user: User) -> None:
    created = program.write("POST", "/mailings", values(user), 201)
    assert program.send("DELETE", f"/mailings/{created['id']}").status_code == 204
    assert session.scalars(select(Mailing)).all() == []


def test_mailings_are_filtered(program: Program, user: User) -> None:
    first, second = MailingFactory.create(owner=user, name="Осень"), due_mailing(user, name="Зима")
    assert [row["id"] for row in program.read("/mailings")["data"]] == [first.id, second.id]
    assert [row["id"] for row in program.read("/mailings?state=draft")["data"]] == [first.id]
    assert [row["id"] for row in program.read("/mailings?q=зим")["data"]] == [second.id]


def test_setting_up_a_mailing_that_sends_needs_its_scope(make_program: MakeProgram, user: User) -> None:
    writer = make_program(user, scopes=["mailings:write", "mailings:read"])
    assert writer.refuse("POST", "/mailings", values(user))[:2] == (403, "scope_missing")
    draft = writer.write("POST", "/mailings", values(user, draft=True), 201)
    assert writer.refuse("PATCH", f"/mailings/{draft['id']}", {"draft": False})[:2] == (403, "scope_missing")


def test_a_disabled_mailing_does_not_start(program: Program, user: User) -> None:
    mailing = MailingFactory.create(owner=user, disabled_at=utcnow(), disabled_reason="Spam")
    ClientFactory.create(owner=user)
    assert program.refuse("POST", f"/mailings/{mailing.id}/start")[:2] == (409, "mailing_disabled")
    shown = program.read(f"/mailings/{mailing.id}")
    assert (shown["is_disabled"], shown["disabled_reason"]) == (True, "Spam")


def test_exclusions_are_shown_as_in_the_form(program: Program, session: Session, user: User) -> None:
    session.add(Tag(owner_id=user.id, name="vip", name_key="vip"))
    session.flush()
    created = program.write("POST", "/mailings", values(user, exclude=["tag:vip"]), 201)
    assert (created["audience"], created["exclude"]) == ("all", ["tag:vip"])
    assert session.scalars(select(Mailing)).one().audience is Audience.ALL_EXCEPT


def test_a_custom_recurrence(program: Program, user: User) -> None:
    values = {
        "name": "Digest",
        "message_id": MessageFactory.create(owner=user).id,
        "starts_at": "2027-12-01T09:00:00Z",
        "ends_at": "2028-12-01T09:00:00Z",
        "periodicity": "custom",
        "repeat_unit": "week",
        "repeat_every": 2,
        "repeat_weekdays": [5, 1],
    }
    mailing = program.write("POST", "/mailings", values, 201)
    assert {name: mailing[name] for name in values if name.startswith("repeat_")} == {
        "repeat_unit": "week",
        "repeat_every": 2,
        "repeat_weekdays": [1, 5],
    }
    changed = program.write("PATCH", f"/mailings/{mailing['id']}", {"repeat_unit": "month"})
    assert changed["repeat_weekdays"] == []
    refused = program.refuse("PATCH", f"/mailings/{mailing['id']}", {"repeat_every": 0})
    assert refused == (422, "invalid", ["/repeat_every"])


def test_a_mailing_at_local_time_is_set_up_and_changed(program: Program, user: User) -> None:
    created = program.write("POST", "/mailings", values(user, is_local_time=True, on_passed="next_day"), 201)
    assert (created["is_local_time"], created["on_passed"]) == (True, "next_day")
    path = f"/mailings/{created['id']}"
    assert program.write("PATCH", path, {"name": "Other"})["is_local_time"] is True
    test = {"variants": [{"subject": "Another"}], "winner_by": "owner"}
    assert program.refuse("PATCH", path, test)[2] == ["/is_local_time"]
    changed = program.write("PATCH", path, {"is_local_time": False})
    assert (changed["is_local_time"], changed["on_passed"]) == (False, "send")
