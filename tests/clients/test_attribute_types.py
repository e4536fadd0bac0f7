"""Test that the types of clients' data are inferred at import and can be changed."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clients.attribute_types import infer_type
from skymailing.models import User
from tests.mailings.pages import soup
from tests.support.factories import ClientFactory
from tests.support.imports import import_file


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["1", "40", ""], "number"),
        (["12,50", "1 200", "7"], "number"),
        (["$5", "10 ₽"], "number"),
        (["1", "1", "1"], "number"),
        (["0", "1", "1"], "yes_no"),
        (["да", "нет"], "yes_no"),
        (["Yes", "yes"], "yes_no"),
        (["06.05.1980", "31.12.1980"], "date"),
        (["1980-05-06 10:00:00"], "date"),
        (["5/25/1980", "6/5/1980"], "date"),
        (["+7 916 000-00-00", "+79160000000"], "text"),
        (["79160000000"], "text"),
        (["01234", "12345"], "text"),
        (["Rome", "5"], "text"),
        (["5"] * 99 + ["n/a"], "number"),
        (["", " "], "text"),
        ([], "text"),
    ],
)
def test_a_type_is_inferred_from_values(values: list[str], type: str) -> None:
    assert infer_type(values) == type


def test_an_import_infers_types_and_keeps_those_that_the_owner_chose(
    browser: FlaskClient, user: User, session: Session, work: object
) -> None:
    assert callable(work)
    table = "email,age,bday,город\na@example.org,40,06.05.1980,Омск\nb@example.org,,31.12.1981,\n"
    import_file(browser, table.encode())
    work()
    session.refresh(user, ["attribute_types"])
    assert user.attribute_types == {"age": "number", "bday": "date", "город": "text"}

    page = browser.get("/clients/attributes")
    chosen = {name["name"]: name.select_one("[selected]") for name in soup(page).select("select[name^=type]")}
    assert {name: option["value"] for name, option in chosen.items() if option} == {
        "type:age": "number",
        "type:bday": "date",
        "type:город": "text",
    }
    browser.post("/clients/attributes", data={"type:age": "text", "type:bday": "nonsense", "type:x": "date"})
    import_file(browser, "email,age,vip\nc@example.org,41,да\n".encode())
    work()

    session.refresh(user, ["attribute_types"])
    assert user.attribute_types == {"age": "text", "bday": "date", "город": "text", "vip": "yes_no"}


def test_the_order_of_dates_can_be_chosen(browser: FlaskClient, user: User, session: Session) -> None:
    client = ClientFactory.create(owner=user, attributes={"bday": "06/05/1980"})
    typed = {
        "format": "text",
        "subject": "s",
        "body": "{{ client.bday | date: '%d.%m' }}",
        "client": client.id,
    }
    for order, expected in (("mdy", "05.06"), ("dmy", "06.05"), ("", "06.05"), ("xyz", "06.05")):
        browser.post("/clients/attributes", data={"date_order": order})
        insight = browser.post("/messages/insight", data=typed).json
        assert insight is not None
        assert insight["text"].startswith(expected), order


def test_a_new_account_has_no_client_data(browser: FlaskClient, app: Flask) -> None:
    assert "No client data yet" in browser.get("/clients/attributes").text
