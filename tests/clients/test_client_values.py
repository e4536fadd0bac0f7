"""Test changing a client's values in place, and adding custom fields, on the client's page."""

from typing import Any

import pytest
from bs4 import Tag
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import Client, User
from tests.clients.pages import find_errors
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory

pytestmark = pytest.mark.one_engine
LONG = "a" * 2_001


@pytest.fixture
def anna(user: User) -> Client:
    values = {"full_name": "Anna", "comment": "met\ntwice", "attributes": {"city": "Omsk", "color": "red"}}
    client: Client = ClientFactory.create(owner=user, email="anna@x.com", timezone="Europe/Riga", **values)
    return client


def find_form(browser: FlaskClient, client: Client, field: str) -> Tag:
    """Return the form with which a field is changed in place."""
    forms = soup(browser.get(f"/clients/{client.id}")).select("form")
    (form,) = [form for form in forms if form.select(f'input[name="field"][value="{field}"]')]
    return form


def change(browser: FlaskClient, client: Client, field: str, value: str, **changes: str) -> Any:
    """Submit a field's form as a browser does, which sends line breaks as CRLF."""
    form = find_form(browser, client, field)
    hidden = {str(tag["name"]): str(tag["value"]) for tag in form.select("input[type=hidden]")}
    data = {"field": field, "shown": hidden["shown"].replace("\n", "\r\n"), "value": value} | changes
    return browser.post(str(form["action"]), data=data)


def add(browser: FlaskClient, client: Client, name: str, value: str) -> Any:
    return browser.post(f"/clients/{client.id}/values/new", data={"name": name, "value": value})


def read(session: Session, client: Client) -> tuple[str, str, dict[str, str]]:
    session.refresh(client)
    return client.full_name, client.comment, client.attributes


@pytest.mark.both_engines
def test_each_value_is_changed_in_place(browser: FlaskClient, session: Session, anna: Client) -> None:
    for field, value in (
        ("full_name", " Anna  Berg "),
        ("attribute.city", "Riga"),
        ("comment", "met\r\nonce"),
    ):
        response = change(browser, anna, field, value)
        assert response.location == f"/clients/{anna.id}#values"
        assert "Saved." in get_main_text(browser.get(f"/clients/{anna.id}"))
    assert read(session, anna) == ("Anna Berg", "met\nonce", {"city": "Riga", "color": "red"})
    assert (anna.email, anna.timezone) == ("anna@x.com", "Europe/Riga")


def test_an_empty_value_removes_the_field(browser: FlaskClient, session: Session, anna: Client) -> None:
    change(browser, anna, "attribute.city", " ")
    change(browser, anna, "full_name", "")
    assert read(session, anna) == ("", "met\ntwice", {"color": "red"})
    assert "Not set" in find_form(browser, anna, "full_name").find_parent("details").get_text()  # type: ignore[union-attr]


def test_a_change_in_another_window_is_not_overwritten(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    anna.attributes = {"city": "Riga"}
    session.commit()
    response = change(browser, anna, "attribute.city", "Berlin", shown="Omsk")
    assert "Changed in another window to “Riga”." in find_errors(response.text)["value-attribute-city"]
    assert read(session, anna)[2] == {"city": "Riga"}
    (field,) = soup(response).select("details[open] input[name=value]")
    assert field["value"] == "Berlin", "what was entered is not lost"
    # The form on the page with the error has the present value.
    assert change(browser, anna, "attribute.city", "Berlin").status_code == 302
    assert read(session, anna)[2] == {"city": "Berlin"}


def test_a_field_that_another_window_removed_becomes_a_new_one(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    anna.attributes = {"color": "red"}
    session.commit()
    data = {"field": "attribute.city", "shown": "Omsk", "value": "Riga"}
    page = soup(browser.post(f"/clients/{anna.id}/values", data=data))
    (form,) = page.select("details[open] form")
    assert [field["value"] for field in form.select("input:not([type=hidden])")] == ["city", "Riga"]
    assert "removed in another window" in form.get_text()
    assert read(session, anna)[2] == {"color": "red"}


def test_the_same_change_made_twice_is_no_conflict(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    for _time in range(2):
        data = {"field": "attribute.city", "shown": "Omsk", "value": "Riga"}
        assert browser.post(f"/clients/{anna.id}/values", data=data).status_code == 302
    assert read(session, anna)[2]["city"] == "Riga"


def test_invisible_characters_do_not_remove_a_value(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    page = change(browser, anna, "attribute.city", "\x01")
    assert "only invisible characters" in find_errors(page.text)["value-attribute-city"]
    assert "Enter a value." in soup(add(browser, anna, "size", "\x01\ufffd")).get_text()
    assert read(session, anna)[2] == {"city": "Omsk", "color": "red"}


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("attribute.city", LONG, "longer than 2,000"),
        ("full_name", "a" * 201, "longer than 200"),
        ("comment", "a" * 10_001, "longer than 10,000"),
    ],
)
def test_a_value_that_is_too_long_is_refused_beside_its_field(
    browser: FlaskClient, session: Session, anna: Client, field: str, value: str, error: str
) -> None:
    before = read(session, anna)
    page = change(browser, anna, field, value)
    assert error in find_errors(page.text)["value-" + field.replace(".", "-")]
    assert read(session, anna) == before


def test_a_value_is_changed_in_the_list(browser: FlaskClient, session: Session, anna: Client) -> None:
    def post(field: str, shown: str, value: str) -> tuple[int, str]:
        data = {"field": field, "shown": shown, "value": value}
        response = browser.post(f"/clients/{anna.id}/values", data=data, headers={"HX-Request": "true"})
        return response.status_code, response.text

    assert post("attribute.city", "Omsk", " Riga ") == (200, "Riga")
    assert post("attribute.shoe_size", "", "42") == (200, "42")
    assert post("attribute.color", "red", "") == (200, "")
    assert read(session, anna)[2] == {"city": "Riga", "shoe_size": "42"}
    status, text = post("attribute.city", "Omsk", "Berlin")
    assert (status, text) == (422, "Changed in another window to “Riga”. Save again to replace it.")


@pytest.mark.parametrize(
    "field",
    ["email", "timezone", "owner_id", "attribute.Shoe size", "attribute.", "city", ""],
)
def test_other_fields_cannot_be_changed(
    browser: FlaskClient, session: Session, anna: Client, field: str
) -> None:
    before = read(session, anna)
    data = {"field": field, "shown": "", "value": "x@y.com"}
    assert browser.post(f"/clients/{anna.id}/values", data=data).status_code == 200
    assert read(session, anna) == before
    assert anna.email == "anna@x.com"


def test_a_custom_field_is_added(browser: FlaskClient, session: Session, anna: Client) -> None:
    assert add(browser, anna, "Shoe size", " 42 ").status_code == 302
    assert read(session, anna)[2] == {"city": "Omsk", "color": "red", "shoe_size": "42"}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("!", "42", "needs a letter or a digit"),
        ("City", "Riga", "already has the field “city”"),
        ("size", " ", "Enter a value."),
        ("size", LONG, "longer than 2,000"),
    ],
)
def test_a_custom_field_that_cannot_be_added_is_explained(
    browser: FlaskClient, session: Session, anna: Client, name: str, value: str, error: str
) -> None:
    before = read(session, anna)
    page = add(browser, anna, name, value)
    assert error in soup(page).select("#new-value-error")[0].get_text()
    assert soup(page).select('details[open] input[name="name"]')[0]["value"] == name
    assert read(session, anna) == before


def test_names_of_other_clients_fields_are_suggested(browser: FlaskClient, user: User, anna: Client) -> None:
    ClientFactory.create(owner=user, attributes={"shoe_size": "42", "city": "Omsk"})
    ClientFactory.create(attributes={"foreign": "1"})
    options = soup(browser.get(f"/clients/{anna.id}")).select("#known-fields option")
    assert [option["value"] for option in options] == ["shoe_size"]
