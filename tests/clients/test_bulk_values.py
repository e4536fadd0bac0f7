"""Test that a custom field of many clients can be set at once, and that this can be undone."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from skymailing.clients.bulk import sizes
from skymailing.clients.cleaning import MAX_ATTRIBUTES
from skymailing.models import AuditAction, AuditEntry, BulkChunk, Client, User
from tests.clients.bulk_jobs import begin, count_rows, get_job, lose_worker, read_page, undo
from tests.clients.conftest import Finish
from tests.clients.pages import find_errors, find_undo_url
from tests.support.factories import ClientFactory, UserFactory, create_clients

pytestmark = pytest.mark.both_engines


def read_cities(session: Session) -> dict[str, str | None]:
    """Return the city of each client by name."""
    session.expire_all()
    return {client.full_name: client.attributes.get("city") for client in session.scalars(select(Client))}


def add(user: User, **cities: str) -> dict[str, Client]:
    """Add clients with these cities; an empty one means none."""
    return {
        name: ClientFactory.create(
            owner=user, full_name=name, attributes={"note": "x"} | ({"city": city} if city else {})
        )
        for name, city in cities.items()
    }


def set_value(browser: FlaskClient, field: str, value: str, **values: Any) -> str:
    data = {"action": "set", "field": field, "field_value": value, "value": "ignored"} | values
    return browser.post("/clients/bulk", data=data, follow_redirects=True).text


def test_ticked_clients_get_a_value_and_an_undo_restores_theirs(
    session: Session, browser: FlaskClient, user: User
) -> None:
    people = add(user, anna="Омск", boris="Томск", clara="")
    other = ClientFactory.create(owner=UserFactory.create(), full_name="other")
    times = {client.full_name: client.updated_at for client in people.values()}
    ids = [client.id for client in (*people.values(), other)]
    page = set_value(browser, " City ", " Томск ", ids=ids)
    assert "2 clients updated." in page
    assert read_cities(session) == {"anna": "Томск", "boris": "Томск", "clara": "Томск", "other": None}
    changed = {name for name, client in people.items() if client.updated_at > times[name]}
    assert changed == {"anna", "clara"}
    assert people["anna"].attributes["note"] == "x"
    # A value that was changed since is kept.
    browser.post(
        f"/clients/{people['clara'].id}/values",
        data={"field": "attribute.city", "value": "Тверь", "shown": "Томск"},
    )
    undone = browser.post(find_undo_url(page), follow_redirects=True).text
    assert "Undone for 1 client." in undone
    assert read_cities(session) == {"anna": "Омск", "boris": "Томск", "clara": "Тверь", "other": None}
    entries = [
        (entry.action, entry.count) for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    ]
    assert entries[-2:] == [(AuditAction.CLIENTS_CHANGED, 2), (AuditAction.CLIENTS_CHANGED_BACK, 1)]


def test_an_empty_value_removes_the_field_of_all_matches(
    session: Session, browser: FlaskClient, user: User
) -> None:
    add(user, anna="Омск", boris="Тверь", clara="")
    page = set_value(browser, "city", "", all_matching="1", q="Омск")
    assert "1 client updated." in page
    assert read_cities(session) == {"anna": None, "boris": "Тверь", "clara": None}
    browser.post(find_undo_url(page))
    assert read_cities(session)["anna"] == "Омск"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("", "x", "needs a letter or a digit"),
        ("!!", "x", "needs a letter or a digit"),
        ("city", "x" * 2_001, "longer than 2,000"),
        ("city", "\x01", "only invisible characters"),
    ],
)
def test_unusable_fields_and_values_change_nothing(
    session: Session, browser: FlaskClient, user: User, field: str, value: str, message: str
) -> None:
    add(user, anna="Омск")
    page = set_value(browser, field, value, all_matching="1")
    assert message in page
    assert list(find_errors(page)) == ["field_value" if field == "city" else "field"]
    assert read_cities(session) == {"anna": "Омск"}


@pytest.mark.parametrize("chosen", [{"all_matching": "1", "q": "Омск"}, {}])
def test_a_corrected_value_is_set_for_the_same_clients(
    session: Session, browser: FlaskClient, user: User, chosen: dict[str, str]
) -> None:
    people = add(user, anna="Омск", boris="Тверь", clara="Омск")
    choice: dict[str, Any] = chosen or {"ids": [people["anna"].id, people["clara"].id]}
    page = set_value(browser, "city", "x" * 2_001, **choice)
    assert "2 clients" in page
    form = BeautifulSoup(page, "html.parser").select_one("main form")
    assert form is not None
    entered = MultiDict((str(field["name"]), str(field.get("value", ""))) for field in form.select("input"))
    assert entered["field_value"] == "x" * 2_001
    entered["field_value"] = "Рига"
    assert "2 clients updated." in browser.post("/clients/bulk", data=entered, follow_redirects=True).text
    assert read_cities(session) == {"anna": "Рига", "boris": "Тверь", "clara": "Рига"}


def test_a_client_with_as_many_fields_as_allowed_gets_no_other(
    session: Session, browser: FlaskClient, user: User
) -> None:
    full = {f"field_{number}": "x" for number in range(MAX_ATTRIBUTES - 1)}
    people = add(user, anna="Омск", boris="")
    people["anna"].attributes = full | {"city": "Омск"}
    people["boris"].attributes = full | {"other": "x"}
    session.flush()
    page = set_value(browser, "city", "Тверь", all_matching="1")
    assert "1 client updated. 1 client already has 100 custom fields and was skipped." in page
    assert read_cities(session) == {"anna": "Тверь", "boris": None}
    page = set_value(browser, "city", "Тверь", all_matching="1")
    assert "0 clients updated. 1 client already has 100 custom fields and was skipped." in page


def test_an_undo_gives_no_client_more_fields_than_allowed(
    session: Session, browser: FlaskClient, user: User
) -> None:
    full = {f"field_{number}": "x" for number in range(MAX_ATTRIBUTES - 1)}
    people = add(user, anna="Омск", boris="Тверь")
    for client in people.values():
        client.attributes = full | dict(client.attributes)
        del client.attributes["note"]
    session.flush()
    url = find_undo_url(set_value(browser, "city", "", all_matching="1"))
    fields = f"/clients/{people['anna'].id}/values"
    assert browser.post(fields, data={"field": "attribute.other", "value": "y"}).status_code == 302
    assert "Undone for 1 client." in browser.post(url, follow_redirects=True).text
    assert read_cities(session) == {"anna": None, "boris": "Тверь"}
    assert {len(client.attributes) for client in people.values()} == {MAX_ATTRIBUTES}


def test_an_undo_that_changes_nothing_says_so_and_can_be_repeated(
    session: Session, browser: FlaskClient, user: User
) -> None:
    full = {f"field_{number}": "x" for number in range(MAX_ATTRIBUTES - 1)}
    anna = add(user, anna="Омск")["anna"]
    anna.attributes = full | {"city": "Омск"}
    session.flush()
    url = find_undo_url(set_value(browser, "city", "", ids=[anna.id]))
    browser.post(f"/clients/{anna.id}/values", data={"field": "attribute.other", "value": "y"})
    page = browser.post(url, follow_redirects=True).text
    assert "Nothing to undo: these clients have been changed or deleted since." in page
    assert "Undone" not in page
    session.expire_all()
    browser.post(f"/clients/{anna.id}/values", data={"field": "attribute.other", "value": "", "shown": "y"})
    assert "Undone for 1 client." in browser.post(url, follow_redirects=True).text
    assert read_cities(session) == {"anna": "Омск"}
    assert browser.post(url).status_code == 404


def test_a_worker_says_that_there_was_nothing_to_undo(
    session: Session, browser: FlaskClient, user: User, low_bulk_limits: None, finish: Finish
) -> None:
    create_clients(user, 4)
    set_value(browser, "city", "Тверь", all_matching="1")
    finish()
    session.execute(update(Client).values(attributes={"city": "Псков"}))
    undo(session, browser)
    finish()
    assert "Nothing to undo: these clients have been changed or deleted since." in read_page(session, browser)


def test_a_worker_sets_the_field_of_many_clients_and_undoes_it(
    session: Session, browser: FlaskClient, user: User, low_bulk_limits: None, finish: Finish
) -> None:
    for number, client in enumerate(create_clients(user, 8)):
        client.full_name, client.attributes = str(number), {"city": f"Город {number}"}
    session.flush()
    before = read_cities(session)
    page = set_value(browser, "city", "Тверь", all_matching="1")
    assert "Change “city”" in page
    assert "0 of 8 clients" in page
    finish()
    assert set(read_cities(session).values()) == {"Тверь"}
    assert "8 clients updated." in read_page(session, browser)
    session.execute(update(Client).where(Client.full_name == "3").values(attributes={"city": "Псков"}))
    undo(session, browser)
    finish()
    assert read_cities(session) == before | {"3": "Псков"}
    assert "Undone for 7 clients." in read_page(session, browser)


def test_a_worker_counts_the_clients_that_it_skipped(
    session: Session, browser: FlaskClient, user: User, low_bulk_limits: None, finish: Finish
) -> None:
    full = {f"field_{number}": "x" for number in range(MAX_ATTRIBUTES)}
    for number, client in enumerate(create_clients(user, 8)):
        client.attributes = full if number in (1, 2, 7) else {}
    session.flush()
    set_value(browser, "city", "Тверь", all_matching="1")
    finish()
    page = read_page(session, browser)
    assert "5 clients updated. 3 clients already have 100 custom fields and were skipped." in page
    undo(session, browser)
    finish()
    assert "Undone for 5 clients." in read_page(session, browser)


def test_clients_with_much_data_are_changed_by_a_worker_in_several_transactions(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    finish: Finish,
) -> None:
    monkeypatch.setattr(sizes, "MAX_CHARACTERS", 5_000)
    for number, client in enumerate(create_clients(user, 3)):
        client.full_name, client.attributes = str(number), {"note": "x" * 2_000}
    session.flush()
    assert "0 of 3 clients" in set_value(browser, "city", "Тверь", all_matching="1")
    begin(app, session, 1)
    assert (get_job(session).done, count_rows(session, BulkChunk)) == (2, 2)
    lose_worker(session)
    finish()
    assert set(read_cities(session).values()) == {"Тверь"}
    undo(session, browser)
    finish()
    assert set(read_cities(session).values()) == {None}
