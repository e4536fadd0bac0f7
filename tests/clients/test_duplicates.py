"""Test the list of clients who are probably the same person."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from skymailing.models import User
from tests.support.factories import ClientFactory, UserFactory


@pytest.mark.one_engine
def test_probable_duplicates_are_listed_most_certain_first(user: User, browser: FlaskClient) -> None:
    people = {
        "ivan.petrov@yandex.ru": ("Ivan", {}),
        "ivan-petrov+shop@ya.ru": ("", {}),
        "olga.k@gmail.com": ("Ольга Ким", {"phone": "8 (900) 123-45-67"}),
        "olgak@googlemail.com": ("ольга  ким", {"phone": "+79001234567"}),
        "third@x.example": ("Third", {"phone": "+7 900 123 45 67"}),
        "fourth@x.example": ("ОЛЬГА КИМ", {"phone": "12"}),
        "fifth@x.example": ("Fifth", {"phone": "12"}),
    }
    for email, (name, attributes) in people.items():
        ClientFactory.create(owner=user, email=email, full_name=name, attributes=attributes)
    ClientFactory.create(owner=UserFactory.create(), full_name="Ivan")
    page = browser.get("/clients/duplicates").text
    rows = BeautifulSoup(page, "html.parser").select("tbody tr:not(.pair-note)")
    found = [[link.text for link in row.select("td span a")] + [row.select("td")[2].text] for row in rows]
    assert sorted(found[:2]) == [
        ["ivan.petrov@yandex.ru", "ivan-petrov+shop@ya.ru", "same mailbox"],
        ["olga.k@gmail.com", "olgak@googlemail.com", "same mailbox"],
    ]
    assert sorted(found[2:]) == [
        ["olga.k@gmail.com", "fourth@x.example", "same name"],
        ["olga.k@gmail.com", "third@x.example", "same phone"],
        ["olgak@googlemail.com", "fourth@x.example", "same name"],
        ["olgak@googlemail.com", "third@x.example", "same phone"],
    ]
    assert "newest clients were compared" not in page
