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


@pytest.mark.one_engine
def test_many_duplicates_are_on_several_pages(user: User, browser: FlaskClient) -> None:
    for number in range(21):
        ClientFactory.create_batch(2, owner=user, full_name=f"Ivan {number}")

    def load(query: str) -> BeautifulSoup:
        return BeautifulSoup(browser.get(f"/clients/duplicates{query}").text, "html.parser")

    def list_addresses(page: BeautifulSoup) -> set[str]:
        return {link.text for link in page.select(".pair-table td span a")}

    first = load("")
    assert len(first.select(".pair-table > tbody")) == 20
    (link,) = first.select(".pager a")
    assert (link.get_text(strip=True), link["href"]) == ("Next page", "/clients/duplicates?page=2")
    second = load("?page=2")
    assert len(list_addresses(first) | list_addresses(second)) == 42
    assert [link["href"] for link in second.select(".pager a")] == ["/clients/duplicates?page=1"]
    assert list_addresses(load("?page=99")) == list_addresses(second)
    fields = {"page": 2, "clients": [field["value"] for field in second.select("[name=clients]")]}
    response = browser.post("/clients/duplicates/distinct", data=fields)
    assert response.headers["Location"] == "/clients/duplicates?page=2"
    assert list_addresses(load("?page=2")) == list_addresses(first), "there is only one page left"
