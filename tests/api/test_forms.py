"""Sign-up forms, sign-ups and senders through the API."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import FormDay, Sender, User
from tests.api.conftest import Program
from tests.support.signup_factories import SignupFactory, SignupFormFactory

pytestmark = pytest.mark.one_engine


def test_a_form_has_its_address_its_code_and_its_numbers(
    program: Program, session: Session, user: User
) -> None:
    form = SignupFormFactory.create(owner=user, name="News", title="Get our news")
    today = utcnow().date()
    session.add(FormDay(form_id=form.id, day=today, requested=3, confirmed=2))
    session.add(FormDay(form_id=form.id, day=today - timedelta(days=60), requested=10, confirmed=5))
    session.flush()
    shown = program.read(f"/forms/{form.id}")
    assert shown["url"].endswith(f"/{form.uuid}")
    assert shown["url"] in shown["snippet"]
    assert (shown["requested"], shown["recently_confirmed"], shown["waiting"]) == (13, 2, 0)
    assert [field["key"] for field in shown["fields"]] == ["full_name", "attribute.city"]
    assert (shown["title"], shown["tags"], shown["topic_ids"]) == ("Get our news", [], [])
    (listed,) = program.read_all("/forms")
    assert listed == {name: shown[name] for name in listed}
    assert "snippet" not in listed


def test_requests_to_subscribe_are_listed(program: Program, user: User) -> None:
    form = SignupFormFactory.create(owner=user)
    done = SignupFactory.create(form=form, values={"attribute.city": "Omsk"})
    waiting = SignupFactory.create(form=form, confirmed_at=None)
    SignupFactory.create(form=SignupFormFactory.create(owner=user))
    path = f"/forms/{form.id}/signups"
    rows = program.read_all(f"{path}?limit=1")
    assert [row["id"] for row in rows] == [done.id, waiting.id]
    assert (rows[0]["email"], rows[0]["values"]) == (done.email, {"attribute.city": "Omsk"})
    assert [row["state"] for row in rows] == ["confirmed", "pending"]
    assert "ip" not in rows[0]
    assert program.read_all(f"{path}?confirmed=true") == rows[:1]
    assert program.read_all(f"{path}?confirmed=false") == rows[1:]
    assert program.refuse("GET", f"{path}?confirmed=1")[2] == ["confirmed"]


def test_a_sender_shows_whether_it_can_be_used(program: Program, session: Session, user: User) -> None:
    for name, confirmed_at in (("b", utcnow()), ("a", None)):
        address = f"{name}@shop.example"
        values = {"address": address, "address_key": address, "confirmed_at": confirmed_at}
        session.add(Sender(owner_id=user.id, name=name.upper(), **values))
    session.flush()
    rows = program.read_all("/senders?limit=1")
    assert [(row["address"], row["problem"]) for row in rows] == [
        ("a@shop.example", "sender-unusable"),
        ("b@shop.example", None),
    ]
    assert program.read(f"/senders/{rows[0]['id']}") == rows[0]
