"""Test how owners create, change and delete forms, and see their numbers and the code for a website."""

import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import cache
from skymailing.models import (
    AuditAction,
    AuditEntry,
    Client,
    Consent,
    ConsentKind,
    FormDay,
    Sender,
    Signup,
    SignupForm,
    SuppressionReason,
    Tag,
    User,
    client_forms,
    form_tags,
)
from skymailing.signup import tasks
from tests.conftest import SetLimits
from tests.mailings.pages import get_field_error, get_main_text, get_value, soup
from tests.signup.people import Visitor, path_of
from tests.support.factories import ClientFactory, SuppressionFactory, UserFactory
from tests.support.signup_factories import SignupFactory, SignupFormFactory, TopicFactory

pytestmark = pytest.mark.one_engine


CHANGES = {
    "name": "Sidebar",
    "language": "ru",
    "title": "Новости мастерской",
    "introduction": "Раз в неделю.",
    "button": "Хочу",
    "consent_text": "Согласен",
    "tags": "Site, News",
    "confirm_subject": "Подтвердите",
    "confirm_body": "Это вы?",
    "thanks_text": "Спасибо",
    "thanks_url": "https://shop.example/thanks?x=1&y=2",
    "is_open": "y",
    "questions-0-key": "full_name",
    "questions-0-is_asked": "y",
    "questions-0-label": "Как вас зовут?",
    "questions-0-is_required": "y",
    "questions-1-key": "attribute.city",
    "questions-2-name": "Shoe size",
}


def read_form(session: Session) -> SignupForm:
    return session.scalars(select(SignupForm).execution_options(populate_existing=True)).one()


@pytest.mark.both_engines
def test_a_form_needs_only_a_name_and_a_consent_text(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    assert "No sign-up forms yet" in get_main_text(browser.get("/forms/"))
    created = browser.post("/forms/new", data={"name": "Footer", "consent_text": "I agree"})
    form = read_form(session)
    assert created.location == f"/forms/{form.id}"
    assert (form.owner_id, form.is_open, form.language) == (user.id, True, "en")
    page = browser.get(created.location)
    assert f"http://sky.example/f/{form.uuid}" in page.text
    assert "Footer" in get_main_text(browser.get("/forms/"))
    public = Visitor(app).get(path_of(form))
    assert "I agree" in public.text
    assert "Subscribe to our emails" in public.text
    assert "Footer" not in public.text, "the form's name is only for the owner"


@pytest.mark.both_engines
def test_everything_can_be_changed(
    app: Flask, session: Session, user: User, browser: FlaskClient, form: SignupForm
) -> None:
    sender = Sender(owner_id=user.id, address="a@shop.example", address_key="a@shop.example")
    sender.confirmed_at = utcnow()
    session.add(sender)
    session.flush()
    before = Visitor(app).get(path_of(form)).text
    topic = TopicFactory.create(owner=user, name="Digest")
    changes = CHANGES | {"sender": str(sender.id), "topics": str(topic.id)}
    assert browser.post(f"/forms/{form.id}/edit", data=changes).status_code == 302
    saved = read_form(session)
    for name in "name", "language", "title", "confirm_subject", "thanks_url":
        assert getattr(saved, name) == changes[name]
    assert saved.sender_id == sender.id
    assert saved.topics == [topic]
    assert saved.fields == [
        {"key": "full_name", "label": "Как вас зовут?", "is_required": True},
        {"key": "attribute.shoe_size", "label": "Shoe size", "is_required": False},
    ]
    tags = select(Tag.name).join(form_tags).where(form_tags.c.form_id == form.id)
    assert set(session.scalars(tags)) == {"Site", "News"}
    page = Visitor(app).get(path_of(form)).text
    assert page != before
    for text in "Новости мастерской", "Раз в неделю.", "Хочу", "Согласен", "Как вас зовут?", "Shoe size":
        assert text in page
    edited = browser.get(f"/forms/{form.id}/edit")
    assert get_value(edited, "tags") == "News, Site"
    assert get_value(edited, "questions-0-label") == "Как вас зовут?"


@pytest.mark.parametrize(
    "url",
    ["http://shop.example", "javascript:alert(1)", "https://", "https://a@b.example", 'https://a.example/"x'],
)
def test_only_https_pages_are_opened_after_the_confirmation(
    browser: FlaskClient, form: SignupForm, url: str
) -> None:
    page = browser.post(f"/forms/{form.id}/edit", data={"name": "x", "thanks_url": url})
    assert "https://" in get_field_error(page, "thanks_url")


def test_the_code_is_a_plain_form_that_works(
    app: Flask, session: Session, browser: FlaskClient, form: SignupForm
) -> None:
    form.fields = [{"key": "full_name", "label": 'Name "<b>"', "is_required": True}]
    form.consent_text = "</form><script>"
    session.flush()
    shown = soup(browser.get(f"/forms/{form.id}")).find("textarea")
    assert shown is not None
    code = BeautifulSoup(shown.get_text(), "html.parser")
    assert code.find("script") is None
    assert code.find("b") is None
    element = code.find("form")
    assert element is not None
    assert (element["action"], element["method"]) == (f"http://sky.example{path_of(form)}", "post")
    names = {str(field["name"]) for field in code.find_all("input")}
    assert names == {"email", "full_name", "website"}
    entered = dict.fromkeys(names, "") | {"email": "anna@mail.example", "full_name": "Анна"}
    step = Visitor(app).post(path_of(form), entered)
    assert "Check your email" in get_main_text(Visitor(app).complete_step(form, step))


def test_numbers_are_shown_in_total_and_for_a_month(
    session: Session, browser: FlaskClient, form: SignupForm
) -> None:
    today = utcnow().date()
    for days, requested, confirmed in (0, 5, 3), (29, 2, 2), (31, 100, 70):
        day = today - timedelta(days=days)
        session.add(FormDay(form_id=form.id, day=day, requested=requested, confirmed=confirmed))
    session.flush()
    text = get_main_text(browser.get(f"/forms/{form.id}"))
    assert "Signed up 107 7 in the last 30 days Confirmed 75 5 in the last 30 days" in text
    assert re.search(r"open 107 75 5", get_main_text(browser.get("/forms/")))


@pytest.mark.both_engines
def test_deleting_a_form_keeps_its_clients(
    app: Flask, session: Session, user: User, browser: FlaskClient, form: SignupForm
) -> None:
    client, name, path = ClientFactory.create(owner=user), form.name, path_of(form)
    session.execute(client_forms.insert().values(form_id=form.id, client_id=client.id))
    Visitor(app).sign_up(form)
    assert "Delete" in get_main_text(browser.get(f"/forms/{form.id}/delete"))
    assert browser.post(f"/forms/{form.id}/delete").status_code == 302
    session.expire_all()
    assert session.scalars(select(Client.id)).all() == [client.id]
    for table in SignupForm, Signup, FormDay:
        assert session.scalar(select(table)) is None
    assert session.execute(select(client_forms)).first() is None
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.target) == (AuditAction.FORM_DELETED, name)
    assert Visitor(app).get(path).status_code == 404


def test_the_number_of_forms_is_limited(
    session: Session, browser: FlaskClient, form: SignupForm, set_limits: SetLimits
) -> None:
    set_limits(forms=1)
    page = browser.post("/forms/new", data={"name": "Second", "consent_text": ""})
    assert "You can have up to 1 sign-up forms" in get_main_text(page)
    assert read_form(session).id == form.id


def test_other_owners_senders_cannot_be_chosen(session: Session, browser: FlaskClient) -> None:
    other = UserFactory.create()
    sender = Sender(owner_id=other.id, address="a@shop.example", address_key="a@shop.example")
    sender.confirmed_at = utcnow()
    session.add(sender)
    session.flush()
    page = browser.post("/forms/new", data={"name": "x", "sender": str(sender.id)})
    assert page.status_code == 200
    assert session.scalar(select(SignupForm)) is None


@pytest.mark.both_engines
def test_people_wait_for_room_while_the_client_limit_is_reached(
    app: Flask, session: Session, user: User, browser: FlaskClient, form: SignupForm, set_limits: SetLimits
) -> None:
    from skymailing.jobs import run_sweep
    from skymailing.outbox.signup_letters import make_signup_token

    set_limits(clients=1)
    known = ClientFactory.create(owner=user)
    Visitor(app).sign_up(form)
    signup = session.scalars(select(Signup)).one()
    with app.app_context():
        path = f"{path_of(form)}/confirm/{make_signup_token(signup)}"
    assert "You are subscribed" in get_main_text(Visitor(app).post(path, {}))
    assert {consent.kind for consent in session.scalars(select(Consent))} == {"asked", "confirmed"}
    assert "1 person has confirmed, but" in get_main_text(browser.get(f"/forms/{form.id}"))
    with app.app_context():
        run_sweep(utcnow() + timedelta(days=30))
    assert session.scalars(select(Client.id)).all() == [known.id]

    set_limits(clients=2)
    with app.app_context():
        cache.clear()  # an owner without room is tried again after some minutes
        run_sweep(utcnow())
    session.expire_all()
    assert set(session.scalars(select(Client.email))) == {known.email, "Anna@mail.example"}
    assert "has confirmed, but" not in get_main_text(browser.get(f"/forms/{form.id}"))


@pytest.mark.both_engines
def test_an_owner_without_room_does_not_delay_people_of_other_owners(
    app: Flask,
    session: Session,
    user: User,
    form: SignupForm,
    set_limits: SetLimits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_limits(clients=2)
    monkeypatch.setattr(tasks, "BATCH", 4)
    ClientFactory.create_batch(2, owner=user)
    other = SignupFormFactory.create()
    for number in range(5):
        SignupFactory.create(form=form, email=f"{number}@mail.example", is_waiting=True)
    for number in range(3):
        SignupFactory.create(form=other, email=f"{number}@mail.example", is_waiting=True)
    with app.app_context():
        tasks.add_clients(utcnow())
    added = select(Client.email).where(Client.owner_id == other.owner_id).order_by(Client.id)
    assert session.scalars(added).all() == ["0@mail.example", "1@mail.example"]
    waiting = select(Signup.owner_id, func.count()).where(Signup.is_waiting).group_by(Signup.owner_id)
    assert dict(session.execute(waiting).tuples().all()) == {user.id: 5, other.owner_id: 1}


def test_the_page_of_a_client_shows_consents_and_why_a_suppression_is_kept(
    session: Session, user: User, browser: FlaskClient, form: SignupForm
) -> None:
    client = ClientFactory.create(owner=user)
    since = utcnow() - timedelta(days=2)
    SuppressionFactory.create(
        owner_id=user.id,
        email_key=client.email_key,
        reason=SuppressionReason.COMPLAINED,
        created_at=since,
    )
    consent = {"owner_id": user.id, "email_key": client.email_key, "form_id": form.id}
    session.add(Consent(kind=ConsentKind.CONFIRMED, at=utcnow(), **consent))
    session.flush()
    text = get_main_text(browser.get(f"/clients/{client.id}"))
    assert "confirmed by email" in text
    assert form.name in text
    assert "subscribed again" in text
    assert "reported as spam, so it stays excluded" in text


def test_a_new_address_of_a_client_is_recorded(session: Session, user: User, browser: FlaskClient) -> None:
    client = ClientFactory.create(owner=user, email="old@mail.example")
    browser.post(f"/clients/{client.id}/edit", data={"email": "new@mail.example"})
    consent = session.scalars(select(Consent)).one()
    assert (consent.kind, consent.email_key) == (ConsentKind.CHANGED, "new@mail.example")
    assert consent.previous_key == "old@mail.example"
    assert "earlier: old@mail.example" in get_main_text(browser.get(f"/clients/{client.id}"))


def test_a_merged_or_restored_client_keeps_the_form(
    session: Session, user: User, browser: FlaskClient, form: SignupForm
) -> None:
    kept, removed = ClientFactory.create(owner=user), ClientFactory.create(owner=user)
    session.execute(client_forms.insert().values(form_id=form.id, client_id=removed.id))
    browser.post(f"/clients/{kept.id}/merge", data={"other": removed.id})
    assert session.execute(select(client_forms)).tuples().all() == [(form.id, kept.id)]
    deleted = browser.post(f"/clients/{kept.id}/delete", follow_redirects=True)
    assert session.execute(select(client_forms)).first() is None
    undo = soup(deleted).select_one('form[action*="/clients/undo/"]')
    assert undo is not None
    browser.post(str(undo["action"]))
    assert session.scalars(select(client_forms.c.form_id)).all() == [form.id]
