"""Test that the fields of other clients are offered in the form of a new one, and are columns of the list."""

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.known_fields import SAMPLE
from skymailing.models import Client, User
from tests.support.factories import ClientFactory, UserFactory, create_clients
from tests.support.statements import record_statements

pytestmark = pytest.mark.one_engine
USES = {"city": 8, "bonus": 7, "phone": 6, "car": 5, "pet": 4, "color": 3, "size": 2}


@pytest.fixture
def clients(user: User) -> None:
    """Create clients with fields of which some are more common than others, and a stranger's client."""
    for number in range(8):
        values = {name: f"{name} {number}" for name, count in USES.items() if number < count}
        ClientFactory.create(owner=user, email=f"c{number}@x.com", attributes=values)
    ClientFactory.create_batch(9, owner=UserFactory.create(), attributes={"secret": "1"})


def list_headers(page: str) -> list[str]:
    return [cell.get_text(strip=True) for cell in BeautifulSoup(page, "html.parser").select("thead th")]


def list_rows(page: str) -> list[str]:
    """Return the names of the rows that need only a value."""
    inputs = BeautifulSoup(page, "html.parser").select(".known-value input[type=hidden]")
    return [str(field["value"]) for field in inputs]


def list_offered(page: str) -> list[str]:
    return [str(button["value"]) for button in BeautifulSoup(page, "html.parser").select("[name=add_field]")]


@pytest.mark.usefixtures("clients")
def test_the_page_and_the_form_of_a_client_have_fields_in_the_same_order(
    browser: FlaskClient, user: User
) -> None:
    values = {"zodiac": "Leo", "pet": "cat", "bonus": "5", "city": "Omsk"}
    client = ClientFactory.create(owner=user, attributes=values)
    page = BeautifulSoup(browser.get(f"/clients/{client.id}").text, "html.parser")
    names = [str(field["value"]).removeprefix("attribute.") for field in page.select("#values [name=field]")]
    assert names == ["full_name", "city", "bonus", "pet", "zodiac", "comment"]

    form = BeautifulSoup(browser.get(f"/clients/{client.id}/edit").text, "html.parser")
    typed = [str(field.get("value", "")) for field in form.select("#values [name$=-name]")]
    assert typed[:4] == ["city", "bonus", "pet", "zodiac"]
    pairs = form.select("#values .value-pair")
    assert ["New field" in pair.get_text() for pair in pairs] == [not name for name in typed]


def test_the_number_of_suggested_names_is_limited(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, attributes={f"field {number}": "1" for number in range(120)})
    page = BeautifulSoup(browser.get("/clients/new").text, "html.parser")
    assert len(page.select("#known-fields option")) == 100


@pytest.mark.both_engines
@pytest.mark.usefixtures("clients")
def test_a_new_client_has_rows_for_the_most_common_fields(browser: FlaskClient, session: Session) -> None:
    page = browser.get("/clients/new").text
    assert list_rows(page) == ["city", "bonus", "phone", "car", "pet"]
    assert list_offered(page) == ["color", "size"]
    soup = BeautifulSoup(page, "html.parser")
    assert [option["value"] for option in soup.select("#known-fields option")] == ["color", "size"]
    assert "secret" not in page

    rows = [("city", "Омск"), ("bonus", ""), ("phone", " "), ("", "")]
    data = {"email": "new@x.com"}
    for number, (name, value) in enumerate(rows):
        data |= {f"attributes-{number}-name": name, f"attributes-{number}-value": value}
    browser.post("/clients/new", data=data)

    added = session.scalars(select(Client).where(Client.email_key == "new@x.com")).one()
    assert added.attributes == {"city": "Омск"}


@pytest.mark.usefixtures("clients")
def test_a_button_adds_a_field_and_keeps_what_was_typed(browser: FlaskClient, session: Session) -> None:
    data = {
        "email": "typed@x.com",
        "attributes-0-name": "city",
        "attributes-0-value": "Омск",
        "attributes-1-name": "",
        "attributes-1-value": "",
        "add_field": "color",
    }
    page = browser.post("/clients/new", data=data).text
    assert list_rows(page) == ["city", "color"], "the empty row is used"
    assert list_offered(page) == ["bonus", "phone", "car", "pet", "size"]
    assert 'value="typed@x.com"' in page
    assert 'value="Омск"' in page
    assert session.scalar(select(Client).where(Client.email_key == "typed@x.com")) is None

    again = browser.post("/clients/new", data=data | {"attributes-1-name": "pet", "add_field": "size"}).text
    assert list_rows(again) == ["city", "pet", "size"], "otherwise, there is a new row"


@pytest.mark.usefixtures("clients")
def test_a_saved_client_is_offered_the_fields_that_it_lacks(browser: FlaskClient, session: Session) -> None:
    last = session.scalars(select(Client).where(Client.email_key == "c7@x.com")).one()
    page = browser.get(f"/clients/{last.id}/edit").text
    assert list_rows(page) == []
    assert list_offered(page) == ["bonus", "phone", "car", "pet", "color", "size"]


def test_without_other_clients_there_are_empty_rows(browser: FlaskClient) -> None:
    page = browser.get("/clients/new").text
    assert list_rows(page) == list_offered(page) == []
    assert len(BeautifulSoup(page, "html.parser").select(".value-pair")) == 2


@pytest.mark.both_engines
@pytest.mark.usefixtures("clients")
def test_the_most_common_fields_are_columns_until_the_owner_chooses(
    browser: FlaskClient, session: Session, user: User
) -> None:
    assert list_headers(browser.get("/clients/").text)[3:-1] == ["Added", "city", "bonus", "phone"]

    browser.post("/clients/columns", data={"column": ["added", "attribute.size"]})
    assert list_headers(browser.get("/clients/").text)[3:-1] == ["Added", "size"]

    browser.post("/clients/columns", data={})
    session.refresh(user)
    assert list_headers(browser.get("/clients/").text)[3:-1] == []


def test_a_field_that_few_clients_have_is_no_column(browser: FlaskClient, user: User) -> None:
    create_clients(user, 7)
    ClientFactory.create(owner=user, attributes={"nickname": "Z"})
    assert list_headers(browser.get("/clients/").text)[3:-1] == ["Added"]


def test_the_list_reads_the_fields_of_the_newest_clients_once(
    app: Flask, browser: FlaskClient, user: User
) -> None:
    create_clients(user, SAMPLE, attributes={"city": "Омск"})
    create_clients(user, SAMPLE, attributes={"new": "1"})
    with app.app_context(), record_statements() as statements:
        page = browser.get("/clients/").text
    assert list_headers(page)[3:-1] == ["Added", "new"], "older clients are not read"
    reading = [text for text in statements if text.startswith("SELECT clients.attributes")]
    assert len(reading) == 1
    assert "LIMIT" in reading[0]
