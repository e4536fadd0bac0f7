"""Test the editor's requests: information about a message, clients for the preview, and conversions."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from skymailing.delivery.rendering.liquid_tags import find_tags
from skymailing.messages.conversion import convert
from skymailing.models import MessageFormat, User
from tests.support.factories import ClientFactory

# Letters are rendered in Python.
pytestmark = pytest.mark.one_engine

TAGS = [
    "{{ name | default: \"a > b & 'c'\" }}",
    "{% if client.a < 3 %}",
    "{% endif %}",
    "{{client['ü']}}",
]
BETWEEN = ["\n\n", "word ", "<b>", "&amp;", "* ", "# ", "{ { ", "[x](", "`", "1. "]


def request_insight(browser: FlaskClient, **values: object) -> dict[str, Any]:
    response = browser.post("/messages/insight", data={"format": "markdown", **values})
    assert response.status_code == 200
    assert isinstance(response.json, dict)
    return response.json


@pytest.mark.both_engines
def test_insight_is_computed_for_the_selected_client(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, full_name="Ann", attributes={"city": "Rome", "car": ""})
    bob = ClientFactory.create(owner=user, full_name="Bob")
    letter = {
        "subject": "Hi {{ name }}",
        "body": "{{ client.city }} {{ client.car }} {{ client.ctiy }} {{ nmae }} {{ email | default: 1 }}",
    }

    for_ann, for_bob = request_insight(browser, **letter), request_insight(browser, **letter, client=bob.id)

    assert for_ann["subject"] == "Hi Ann"
    assert for_ann["text"].startswith("Rome  ")
    assert for_ann["empty"] == ["{{ client.car }}"]
    assert for_bob["subject"] == "Hi Bob"
    assert for_bob["empty"] == ["{{ client.car }}", "{{ client.city }}"]
    for insight in (for_ann, for_bob):
        assert insight["unknown"] == [
            ["{{ client.ctiy }}", "{{ client.city }}"],
            ["{{ nmae }}", "{{ name }}"],
        ]
        assert insight["has_html"] is True
        assert insight["clipped"] is False
        assert 0.5 < float(insight["size"]) < 5


def test_a_value_with_a_fallback_is_not_missing(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, full_name="")
    ClientFactory.create(owner=user, attributes={"city": "Rome"})

    insight = request_insight(
        browser, body='{{ name | default: "friend" }} {% if client.city %}you{% endif %}'
    )

    assert insight["empty"] == []


def test_insight_warns_when_gmail_would_cut_the_letter_off(browser: FlaskClient) -> None:
    insight = request_insight(browser, format="html", body="<p>" + "word " * 22_000)

    assert insight["clipped"] is True


def test_insight_reports_an_error_with_its_line(browser: FlaskClient) -> None:
    assert request_insight(browser, body="a\nb {{ c")["problem"] == {
        "text": "Line 2: {{ is not closed by }}.",
        "line": 2,
        "in_subject": False,
    }
    assert request_insight(browser, subject="{% if x %}", body="a")["problem"]["in_subject"] is True
    assert "problem" not in request_insight(browser, subject="", body="")


@pytest.mark.both_engines
def test_clients_for_the_preview_are_found_by_name(browser: FlaskClient, user: User) -> None:
    ann = ClientFactory.create(owner=user, full_name="Ann", email="ann@xn--e1afmkfd.example")
    ClientFactory.create(owner=user, full_name="Bob")
    ClientFactory.create(full_name="Ann of another owner")

    response = browser.get("/messages/recipients?q=ann")

    assert response.json == [{"id": ann.id, "name": "Ann", "email": "ann@пример.example"}]


def test_a_letter_body_is_served_with_its_own_policy(browser: FlaskClient) -> None:
    response = browser.post(
        "/messages/preview", data={"format": "html", "body": "<p>{{ name }}<script>", "part": "html"}
    )

    assert response.text.startswith("<p>Anna Example")
    assert response.text.endswith("<script>")
    assert response.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


# Tags must survive every conversion, with any text between them.
@settings(max_examples=150)
@given(
    fragments=st.lists(st.sampled_from([*TAGS, *BETWEEN]), max_size=15),
    old=st.sampled_from(list(MessageFormat)),
    new=st.sampled_from(list(MessageFormat)),
)
def test_placeholders_survive_a_conversion(
    fragments: list[str], old: MessageFormat, new: MessageFormat
) -> None:
    body = "".join(fragments)

    converted = convert(body, old, new, "en")

    tags = [tag.text for tag in find_tags(body)]
    remaining = iter(tag.text for tag in find_tags(converted))
    assert all(tag in remaining for tag in tags)


def test_plain_text_is_converted_to_html_and_back(browser: FlaskClient) -> None:
    def convert_text(old: str, to: str, body: str) -> str:
        response = browser.post("/messages/convert", data={"format": old, "to": to, "body": body})
        assert response.json
        return str(response.json["body"])

    page = convert_text("text", "html", "Hello {{ name }} <3\nand you\n\nBye")
    assert "<p>Hello {{ name }} &lt;3<br>and you</p>\n<p>Bye</p>" in page
    assert convert_text("html", "text", page) == "Hello {{ name }} <3\nand you\n\nBye\n"
    assert "<h1>Hi</h1>" in convert_text("markdown", "html", "# Hi")
    assert convert_text("markdown", "text", "# Hi\n") == "# Hi\n"
    assert browser.post("/messages/convert", data={"format": "html", "to": "word"}).status_code == 400
    invalid = browser.post("/messages/convert", data={"format": "text", "to": "html", "body": "{{ a"})
    assert invalid.status_code == 422


def test_the_menu_of_client_data_shows_addresses_as_people_write_them(
    browser: FlaskClient, user: User
) -> None:
    ClientFactory.create(owner=user, email="anna@xn--e1afmkfd.xn--p1ai")
    page = browser.get("/messages/new").text
    assert "anna@пример.рф" in page
    assert "xn--" not in page
