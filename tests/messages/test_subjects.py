"""Test that subjects with placeholders are readable on pages, and filled in for a particular client."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clients.subjects import fill_for_client
from skymailing.models import Role, User
from skymailing.web.subjects import readable_subject
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run

pytestmark = pytest.mark.one_engine

SUBJECT = "{{ client.first_name | default: 'Hello' }}, your {{ client.tea }} is here"
READABLE = "[first name], your [tea] is here"


@pytest.mark.parametrize(
    ("subject", "readable"),
    [
        ("Nothing to fill in", "Nothing to fill in"),
        (SUBJECT, READABLE),
        ("{{name}}: {{- client['best tea'] -}}!", "[name]: [best tea]!"),
        ("{{ 'now' | date: '%Y' }}", "[now]"),
        ("{{ client.last_order | date }}", "[last order]"),
        ("{% if client.city == 'Omsk' %}Omsk{% else %}Other{% endif %} news", "Omsk/Other news"),
        ("{{ }} and {{ broken", "[] and {{ broken"),
    ],
)
def test_placeholders_become_words(app: Flask, subject: str, readable: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert readable_subject(subject) == readable


def test_words_are_in_the_users_language(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "ru"}):
        assert readable_subject("{{ client.first_name }}, привет") == "[имя], привет"


def test_lists_and_titles_show_no_placeholders(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject=SUBJECT)
    mailing = MailingFactory.create(owner=user, message=message)
    run = create_run(mailing, {}, subject=SUBJECT)
    paths = ["/messages/", f"/messages/{message.id}", f"/messages/{message.id}/edit", "/go/?q=tea"]
    paths += [f"/mailings/{mailing.id}", f"/mailings/runs/{run.id}"]
    for path in paths:
        page = soup(browser.get(path))
        shown = " ".join(part.get_text() for part in page.select("title, h1, main a, main dd"))
        assert READABLE in shown, path
        assert "{{ client.first_name" not in shown, path


def test_a_mailing_named_after_its_subject_has_a_readable_name(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject=SUBJECT)
    page = soup(browser.get("/mailings/new"))
    (option,) = page.select(f'#message option[value="{message.id}"]')
    assert option.get_text() == READABLE


def test_a_client_sees_their_own_values(app: Flask, user: User, session: Session) -> None:
    client = ClientFactory.create(owner=user, full_name="Анна Чай", attributes={"tea": "oolong"})
    with app.test_request_context():
        assert fill_for_client("{{ name }}, your {{ client.tea }}", client) == "Анна Чай, your oolong"
        assert fill_for_client("{{ client.tea | no_such_filter }}", client) == "[tea]"


def test_the_panel_shows_no_placeholders(panel_text: str) -> None:
    assert READABLE in panel_text
    assert "{{" not in panel_text


@pytest.fixture
def panel_text(user: User, session: Session, app: Flask, browser: FlaskClient) -> str:
    """Return the page of a mailing as a manager sees it."""
    message = MessageFactory.create(owner=user, subject=SUBJECT)
    mailing = MailingFactory.create(owner=user, message=message)
    user.role = Role.MANAGER
    session.flush()
    return get_main_text(browser.get(f"/manager/mailings/{mailing.id}/"))
