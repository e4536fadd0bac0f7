"""Test that a message is shown as a client gets it, in a frame that runs no scripts."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Message, MessageFormat, User
from tests.support.factories import ClientFactory, MessageFactory

# Letters are rendered in Python.
pytestmark = pytest.mark.one_engine

LONG_MARKDOWN = {"subject": "x", "format": "markdown", "body": "![" * 60_000}
DRAFT = {
    "subject": "Hi, {{ name }}",
    "format": "markdown",
    "body": "Hello, **{{ name }}** of {{ client.city }}",
}


def test_the_page_shows_the_letter_for_the_selected_client(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Hi, {{ name }}", body="{{ client.city }}")
    first = ClientFactory.create(owner=user, full_name="Ann", attributes={"city": "Rome"})
    second = ClientFactory.create(owner=user, full_name="Bob", attributes={"city": "Oslo"})

    page = browser.get(f"/messages/{message.id}").text
    other = browser.get(f"/messages/{message.id}?client={second.id}").text

    assert "Hi, Ann" in page
    assert f"client={second.id}" in page
    assert "Rome" in page
    assert "Hi, Bob" in other
    assert f"client={first.id}" in other


def test_a_sample_client_is_shown_if_there_are_none(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Hi, {{ name }}")

    assert "Hi, Anna Example" in browser.get(f"/messages/{message.id}").text


@pytest.mark.both_engines
def test_a_client_is_found_by_address(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    ClientFactory.create(owner=user, email="wanted@example.org")
    ClientFactory.create(owner=user, email="other@example.org")
    ClientFactory.create(email="wanted-not@example.org")

    page = browser.get(f"/messages/{message.id}?q=wanted").text

    assert ">wanted@example.org</a>" in page
    assert ">other@example.org</a>" not in page
    assert "wanted-not" not in page


def test_placeholders_without_data_are_listed(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(
        owner=user, subject="x", body="{{ name }} {{ client.city }} {{ client.typo }}"
    )
    ClientFactory.create(owner=user, full_name="Ann", attributes={"city": ""})

    page = browser.get(f"/messages/{message.id}").text

    assert "There is no data for {{ client.typo }}, so nothing will appear here." in page
    assert "This client has no data for" in page
    assert "<code>{{ client.city }}</code>" in page
    assert "no data {{ name }}" not in page


@pytest.mark.parametrize(("part", "kind"), [("html", "text/html"), ("text", "text/plain")])
def test_a_part_is_served_with_its_own_policy(browser: FlaskClient, user: User, part: str, kind: str) -> None:
    message = MessageFactory.create(
        owner=user, format=MessageFormat.HTML, body="<script>alert(1)</script><p>Hi</p>"
    )

    response = browser.get(f"/messages/{message.id}/preview?part={part}")

    assert response.mimetype == kind
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; img-src https: data: http://sky.example; style")
    assert "script" not in policy
    assert "Hi" in response.text


def test_the_frame_is_sandboxed(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)

    page = browser.get(f"/messages/{message.id}").text

    frame = page[page.index("<iframe") : page.index("</iframe>")]
    assert " sandbox " in frame
    assert "allow-" not in frame


@pytest.mark.parametrize("path", ["?client={}", "/preview?client={}"])
def test_another_owners_client_is_not_found(browser: FlaskClient, user: User, path: str) -> None:
    message = MessageFactory.create(owner=user)
    stranger = ClientFactory.create()

    assert browser.get(f"/messages/{message.id}" + path.format(stranger.id)).status_code == 404


def test_the_page_explains_why_a_letter_cannot_be_rendered(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, body="{% for i in (1..client.n) %}x{% endfor %}")
    ClientFactory.create(owner=user, attributes={"n": "99999999"})

    response = browser.get(f"/messages/{message.id}")

    assert response.status_code == 200
    assert "This message has an error" in response.text
    assert browser.get(f"/messages/{message.id}/preview").status_code == 200


def test_a_draft_is_shown_without_being_saved(browser: FlaskClient, session: Session, user: User) -> None:
    ClientFactory.create(owner=user, full_name="Ann <b>", attributes={})

    response = browser.post("/messages/preview", data=DRAFT)

    assert response.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "Hi, Ann &lt;b&gt;" in response.text
    # The letter is inside the frame's attribute, so it is escaped a second time.
    assert "&lt;strong&gt;Ann &amp;lt;b&amp;gt;&lt;/strong&gt;" in response.text
    assert "There is no data for {{ client.city }}" in response.text
    assert session.scalars(select(Message)).all() == []


def test_a_draft_preview_reports_an_error_with_its_line(browser: FlaskClient) -> None:
    response = browser.post("/messages/preview", data={**DRAFT, "body": "a\n{{ b"})

    assert "Line 2: {{ is not closed by }}." in response.text
    assert "Here you will see the message" in browser.get("/messages/preview").text


@pytest.mark.parametrize("path", ["/messages/preview", "/messages/insight", "/messages/convert"])
def test_markdown_that_would_take_too_long_to_convert_is_rejected(browser: FlaskClient, path: str) -> None:
    response = browser.post(path, data=LONG_MARKDOWN | {"to": "html"})
    text = response.get_data(as_text=True)
    assert "The message is longer than 100000 characters" in text


def test_long_markdown_is_not_saved_but_its_draft_is(browser: FlaskClient, session: Session) -> None:
    response = browser.post("/messages/new", data=LONG_MARKDOWN)
    assert "The message is longer than 100000 characters" in response.text
    assert session.scalar(select(Message)) is None
    assert browser.post("/messages/drafts", data=LONG_MARKDOWN).status_code == 200


def test_long_html_is_shown(browser: FlaskClient) -> None:
    """HTML from other programs is long, and its conversion takes linear time."""
    html = {"subject": "x", "format": "html", "body": "<p style='color:red'>Sale</p>" * 8_000}
    response = browser.post("/messages/insight", data=html)
    assert response.json
    assert response.json["has_html"]


@pytest.mark.both_engines
def test_a_message_saved_by_an_earlier_version_is_reported_as_too_long(
    browser: FlaskClient, user: User
) -> None:
    message = MessageFactory.create(owner=user, format=MessageFormat.MARKDOWN, body="![" * 60_000)
    assert "The message is longer than 100000 characters" in browser.get(f"/messages/{message.id}").text
