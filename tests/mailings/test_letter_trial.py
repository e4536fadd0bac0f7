"""Test that letters that would fail for some clients are found before a mailing is sent."""

import pytest
from flask.testing import FlaskClient

from skymailing.mailings import letter_trial
from skymailing.models import Message, User
from tests.mailings.pages import mailing_fields, soup
from tests.support.factories import ClientFactory, MessageFactory, SuppressionFactory


def list_failures(browser: FlaskClient, message: Message, **changes: object) -> list[str]:
    page = soup(browser.post("/mailings/preview", data=mailing_fields(message) | changes))
    return [line.get_text() for line in page.select("#failing-letters p")][:-1]


def test_clients_who_cannot_get_a_letter_are_counted(browser: FlaskClient, user: User) -> None:
    body = "{% if client.n %}{% for i in (1..client.n) %}x{% endfor %}{% endif %}"
    message = MessageFactory.create(owner=user, body=body, subject="s")
    for number in ("5", "999999999", "9999999999", ""):
        ClientFactory.create(owner=user, email=f"n{number}@example.org", attributes={"n": number})
    suppressed = ClientFactory.create(owner=user, attributes={"n": "99999999999"})
    SuppressionFactory.create(owner_id=user.id, email_key=suppressed.email_key)

    (failure,) = list_failures(browser, message)

    assert failure.startswith("The template is too expensive to render")
    assert failure.endswith("Affects 2 clients, for example n999999999@example.org.")


def test_values_that_are_not_numbers_are_shown(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, body="{% if client.age > 5 %}y{% endif %}", subject="s")
    for number, age in enumerate(["40", "4,5", "1 200", "сорок", "сорок", ""]):
        ClientFactory.create(owner=user, email=f"n{number}@example.org", attributes={"age": age})

    assert list_failures(browser, message) == [
        "“сорок” is used as a number but is not one. Affects 2 clients, for example n3@example.org."
    ]


def test_a_sample_of_many_clients_has_the_oldest_and_the_newest(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_trial, "MAX_LETTERS", 4)
    message = MessageFactory.create(owner=user, body="{{ client.age | plus: 1 }}", subject="s")
    for number in range(8):
        age = "old" if number in (0, 4, 7) else "1"
        ClientFactory.create(owner=user, email=f"n{number}@example.org", attributes={"age": age})

    failure, note = list_failures(browser, message)

    assert "Affects 2 clients, for example n0@example.org." in failure
    assert note == "Only the emails to 4 clients were checked."


def test_a_message_that_only_prints_values_needs_no_trial(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, attributes={"age": "old"})
    message = MessageFactory.create(owner=user, body="{{ client.age }}, {{ name }}", subject="s")

    assert list_failures(browser, message) == []
