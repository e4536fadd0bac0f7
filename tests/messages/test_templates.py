"""Test messages that users save as templates."""

import json

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.messages import templates
from skymailing.models import Message, MessageTemplate, User
from tests.delivery.composition.designs import make_design
from tests.mailings.pages import soup
from tests.support.factories import MessageFactory, UserFactory

pytestmark = pytest.mark.one_engine

SOURCE = json.dumps(make_design({"id": "a", "type": "heading", "text": "All of May"}))


@pytest.mark.both_engines
def test_a_message_becomes_a_template_for_others(browser: FlaskClient, session: Session, user: User) -> None:
    form = {"subject": "News", "preheader": "All of May", "source_format": "blocks"}
    browser.post("/messages/new", data=form | {"source": SOURCE})
    message = session.scalars(select(Message)).one()

    saved = browser.post(f"/messages/{message.id}/template", data={"name": " Monthly "})
    assert saved.location == "/messages/templates"
    template = session.scalars(select(MessageTemplate)).one()
    page = soup(browser.get(saved.location))
    assert page.select_one(f'.own-template a[href="/messages/new?template={template.id}"]') is not None
    assert "Monthly" in page.get_text()
    frame = browser.get(f"/messages/templates/{template.id}/preview")
    assert frame.text.startswith("<!DOCTYPE html>")
    assert "sandbox" in frame.headers["Content-Security-Policy"]

    editor = soup(browser.get(f"/messages/new?template={template.id}"))
    fields = {name: editor.select_one(f"[name={name}]") for name in ("subject", "preheader", "source")}
    assert all(fields.values())
    browser.post(
        f"/messages/{message.id}/edit", data=form | {"subject": "Changed", "source": template.source}
    )
    browser.post(f"/messages/{message.id}/delete")
    session.expire_all()
    assert template.subject == "News"
    browser.post(f"/messages/templates/{template.id}/delete")
    assert session.scalars(select(MessageTemplate)).all() == []


def test_other_formats_can_be_templates(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Hi", format="markdown", body="Hello, **{{ name }}**")
    browser.post(f"/messages/{message.id}/template", data={"name": "Short"})
    template = session.scalars(select(MessageTemplate)).one()

    editor = browser.get(f"/messages/new?template={template.id}").text
    assert "Hello, **{{ name }}**" in editor
    assert browser.get(f"/messages/templates/{template.id}/preview").status_code == 200


def test_templates_of_other_owners_are_not_found(browser: FlaskClient, session: Session, user: User) -> None:
    template = MessageTemplate(
        owner_id=UserFactory.create().id, name="Secret plan", subject="Secret", format="text", body="Secret"
    )
    session.add(template)
    session.commit()

    for path in ("/messages/templates", f"/messages/new?template={template.id}"):
        assert "Secret" not in browser.get(path).text


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_a_template_needs_a_name(browser: FlaskClient, session: Session, user: User, name: str) -> None:
    message = MessageFactory.create(owner=user)
    response = browser.post(f"/messages/{message.id}/template", data={"name": name}, follow_redirects=True)

    assert "Enter a name of up to 100 characters." in response.text
    assert session.scalars(select(MessageTemplate)).all() == []


def test_the_number_of_templates_is_limited(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "MAX_TEMPLATES", 1)
    message = MessageFactory.create(owner=user)
    for _ in range(2):
        response = browser.post(f"/messages/{message.id}/template", data={"name": "a"}, follow_redirects=True)
    assert "You can save up to 1 templates." in response.text


def test_a_template_can_be_renamed(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    browser.post(f"/messages/{message.id}/template", data={"name": "Monthly"})
    template = session.scalars(select(MessageTemplate)).one()
    path = f"/messages/templates/{template.id}/rename"

    browser.post(path, data={"name": " Weekly "})
    session.refresh(template)
    assert template.name == "Weekly"
    refused = browser.post(path, data={"name": ""}, follow_redirects=True)
    assert "Enter a name of up to 100 characters." in refused.text
    session.refresh(template)
    assert template.name == "Weekly"
