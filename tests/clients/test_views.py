"""Test the address book pages."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.models import Client, Delivery, DeliveryState, Suppression, SuppressionReason, User
from tests.clients.pages import find_addresses, find_errors
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    SuppressionFactory,
    UserFactory,
    create_clients,
)

# Forms and pages do not depend on the database.
pytestmark = pytest.mark.one_engine


def count_clients(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Client)) or 0


def test_an_empty_address_book_offers_the_import(browser: FlaskClient) -> None:
    page = browser.get("/clients/").text
    assert "No clients yet" in page
    assert "/clients/import" in page


@pytest.mark.both_engines
def test_clients_are_listed_newest_first_and_can_be_sorted(browser: FlaskClient, user: User) -> None:
    for email, name in (("b@x.com", "Яна"), ("c@x.com", "Анна"), ("a@x.com", "Ольга")):
        ClientFactory.create(owner=user, email=email, full_name=name)
    ClientFactory.create(owner=UserFactory.create(), email="secret@x.com")
    assert find_addresses(browser.get("/clients/").text) == ["a@x.com", "c@x.com", "b@x.com"]
    assert find_addresses(browser.get("/clients/?sort=email").text) == ["a@x.com", "b@x.com", "c@x.com"]
    assert find_addresses(browser.get("/clients/?sort=-email").text) == ["c@x.com", "b@x.com", "a@x.com"]
    assert find_addresses(browser.get("/clients/?sort=name").text) == ["c@x.com", "a@x.com", "b@x.com"]
    assert find_addresses(browser.get("/clients/?sort=nonsense&cursor=nonsense").text)[0] == "a@x.com"


@pytest.mark.both_engines
def test_a_long_list_is_paginated(browser: FlaskClient, user: User) -> None:
    create_clients(user, 101)
    seen: list[str] = []
    url: str | None = "/clients/?sort=email"
    while url:
        page = browser.get(url).text
        assert "101 clients" in page
        seen += find_addresses(page)
        next_link = BeautifulSoup(page, "html.parser").select_one("a[rel=next]")
        url = str(next_link["href"]) if next_link else None
    assert len(seen) == len(set(seen)) == 101
    assert seen == sorted(seen)


def test_a_long_list_has_page_numbers(browser: FlaskClient, user: User) -> None:
    ClientFactory.create_batch(101, owner=user)

    page = browser.get("/clients/?page=2").text

    assert '<span aria-current="page">2</span>' in page
    assert 'href="/clients/?page=3" aria-label="Page 3"' in page
    assert 'aria-label="Page 4"' not in page
    assert '<span aria-current="page">1</span>' in browser.get("/clients/?page=999999999999").text


def test_the_owner_chooses_the_columns(browser: FlaskClient, session: Session, user: User) -> None:
    ClientFactory.create(
        owner=user, comment="A regular", attributes={"city": "<b>Тула</b>", "phone": "+7999"}
    )
    page = browser.get("/clients/?q=a").text
    assert ("A regular" in page, "&lt;b&gt;Тула&lt;/b&gt;" in page) == (False, True)
    browser.post("/clients/columns", data={"column": ["comment", "attribute.city"]})
    page = browser.get("/clients/?q=a").text
    assert ("A regular" in page, "&lt;b&gt;Тула&lt;/b&gt;" in page) == (True, True)

    response = browser.post(
        "/clients/columns", data={"q": "a", "column": ["attribute.city", "bogus", "changed"]}
    )

    assert response.headers["Location"] == "/clients/?q=a"
    session.refresh(user)
    assert user.client_columns == ["changed", "attribute.city"]
    page = browser.get("/clients/").text
    assert ("A regular" in page, "&lt;b&gt;Тула&lt;/b&gt;" in page, "+7999" in page) == (False, True, False)
    browser.post("/clients/columns", data={})
    session.refresh(user)
    assert user.client_columns == []


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("петров", ["anna@x.com"]),
        ("ПЕТРОВ", ["anna@x.com"]),
        ("Anna@X", ["anna@x.com"]),
        ("100%", ["sale@x.com"]),
        ("_", ["under_score@x.com"]),
        ("\\", []),
        ("@пример.рф", ["ivan@пример.рф"]),
        ("\0", ["ivan@пример.рф", "sale@x.com", "under_score@x.com", "anna@x.com"]),
    ],
)
def test_search_finds_names_and_addresses(
    browser: FlaskClient, user: User, search: str, expected: list[str]
) -> None:
    ClientFactory.create(owner=user, email="anna@x.com", full_name="Анна Петрова")
    ClientFactory.create(owner=user, email="under_score@x.com", full_name="")
    ClientFactory.create(owner=user, email="sale@x.com", full_name="Sale 100% off")
    ClientFactory.create(owner=user, email="ivan@xn--e1afmkfd.xn--p1ai", full_name="Иван")
    page = browser.get("/clients/", query_string={"q": search}).text
    assert find_addresses(page) == expected
    assert ("No clients found" in page) == (not expected)


@pytest.mark.both_engines
def test_a_client_is_added_with_custom_fields(browser: FlaskClient, session: Session) -> None:
    response = browser.post(
        "/clients/new",
        data={
            "email": " Anna@Пример.РФ ",
            "full_name": "Анна  Петрова",
            "comment": "один\r\nдва",
            "attributes-0-name": "Дата рождения",
            "attributes-0-value": "17 мая",
            "attributes-1-name": "empty",
            "attributes-1-value": "",
            "owner_id": "1000000",
        },
    )
    assert (response.status_code, response.location) == (302, "/clients/")
    client = session.scalars(select(Client)).one()
    assert (client.email, client.email_key) == ("Anna@xn--e1afmkfd.xn--p1ai", "anna@xn--e1afmkfd.xn--p1ai")
    assert (client.full_name, client.comment) == ("Анна Петрова", "один\nдва")
    assert client.attributes == {"дата_рождения": "17 мая"}


@pytest.mark.parametrize(
    ("data", "field", "expected_error"),
    [
        ({"email": ""}, "email", "Enter the client"),
        ({}, "email", "Enter the client"),
        ({"email": "anna"}, "email", "has an @ sign"),
        ({"email": "an na@x.com"}, "email", "cannot contain spaces"),
        ({"email": "TAKEN@x.com"}, "email", "already have a client"),
        ({"email": "a@x.com", "full_name": "я" * 201}, "full_name", "longer than 200"),
        ({"email": "a@x.com", "comment": "я" * 10_001}, "comment", "longer than 10,000"),
        ({"email": "a@x.com", "attributes-0-value": "Омск"}, "attributes-0-name", "Name this field"),
        (
            {"email": "a@x.com", "attributes-0-name": "x", "attributes-0-value": "я" * 2001},
            "attributes-0-value",
            "longer than 2,000",
        ),
    ],
)
def test_an_invalid_field_shows_its_error_and_keeps_the_typed_values(
    browser: FlaskClient, session: Session, user: User, data: dict[str, str], field: str, expected_error: str
) -> None:
    existing = ClientFactory.create(owner=user, email="taken@x.com")
    other = ClientFactory.create(owner=user, email="other@x.com", full_name="Старое имя")
    for url in ("/clients/new", f"/clients/{other.id}/edit"):
        page = browser.post(url, data={"comment": "typed", **data}).text
        assert expected_error in find_errors(page)[field]
        assert data.get("comment", "typed") in page
        assert data.get("email", "") in page
    assert count_clients(session) == 2
    session.refresh(other)
    assert (other.email, other.full_name, other.comment) == ("other@x.com", "Старое имя", "")
    assert existing.email == "taken@x.com"


def test_a_client_can_be_edited_without_changing_the_address(
    browser: FlaskClient, session: Session, user: User
) -> None:
    client = ClientFactory.create(owner=user, email="anna@x.com", attributes={"city": "Омск"})
    page = browser.get(f"/clients/{client.id}/edit").text
    assert 'value="Омск"' in page
    data = {"email": "ANNA@x.com", "full_name": "Анна", "attributes-0-name": "city", "attributes-0-value": ""}
    assert browser.post(f"/clients/{client.id}/edit", data=data).status_code == 302
    session.refresh(client)
    assert (client.email, client.full_name, client.attributes) == ("ANNA@x.com", "Анна", {})


def test_fields_can_be_added_without_javascript_or_saving(browser: FlaskClient, session: Session) -> None:
    page = browser.post("/clients/new", data={"email": "a@x.com", "attributes-0-name": "x", "more": "1"}).text
    assert 'name="attributes-2-value"' in page
    assert 'value="a@x.com"' in page
    assert count_clients(session) == 0


@pytest.mark.both_engines
def test_deletion_asks_for_confirmation_and_keeps_the_log(
    browser: FlaskClient, session: Session, user: User
) -> None:
    client = ClientFactory.create(owner=user, email="anna@x.com")
    states = [DeliveryState.PENDING, DeliveryState.DEFERRED, DeliveryState.SENDING, DeliveryState.SENT]
    deliveries = [
        DeliveryFactory.create(
            run=RunFactory.create(mailing=MailingFactory.create(owner=user)), client=client, state=state
        )
        for state in states
    ]
    assert "anna@x.com" in browser.get(f"/clients/{client.id}/delete").text
    assert count_clients(session) == 1
    assert browser.post(f"/clients/{client.id}/delete").location == "/clients/"
    session.expire_all()
    assert [delivery.state for delivery in deliveries] == [
        DeliveryState.CANCELLED,
        DeliveryState.CANCELLED,
        DeliveryState.SENDING,
        DeliveryState.SENT,
    ]
    assert set(session.scalars(select(Delivery.client_id))) == {None}
    assert set(session.scalars(select(Delivery.email))) == {"anna@x.com"}
    assert all(deliveries[i].finished_at for i in (0, 1))
    assert count_clients(session) == 0


def test_selected_clients_are_deleted_after_confirmation(
    browser: FlaskClient, session: Session, user: User
) -> None:
    first, second, _third = create_clients(user, 3)
    foreign = ClientFactory.create(owner=UserFactory.create())
    data = {"action": "delete", "ids": [first.id, second.id, foreign.id, "x", "9" * 30]}
    page = browser.post("/clients/bulk", data=data).text
    assert "Delete 2 clients?" in page
    assert count_clients(session) == 4
    browser.post("/clients/bulk", data=data | {"confirmed": "1"})
    session.expire_all()
    assert count_clients(session) == 2
    assert session.get(Client, foreign.id)
    assert browser.post("/clients/bulk", data={"action": "delete"}).location == "/clients/"


def test_the_owner_can_suppress_an_address_and_allow_it_again(
    browser: FlaskClient, session: Session, user: User
) -> None:
    client = ClientFactory.create(owner=user)
    browser.post(f"/clients/{client.id}/suppress")
    browser.post(f"/clients/{client.id}/suppress")
    assert session.scalars(select(Suppression.reason)).all() == [SuppressionReason.MANUAL]
    assert "excluded manually" in browser.get("/clients/").text
    browser.post(f"/clients/{client.id}/allow")
    browser.post(f"/clients/{client.id}/allow")
    assert session.scalars(select(Suppression.reason)).all() == []


@pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained"])
def test_the_owner_cannot_lift_other_suppressions(
    browser: FlaskClient, session: Session, user: User, reason: str
) -> None:
    client = ClientFactory.create(owner=user)
    SuppressionFactory.create(owner_id=user.id, email_key=client.email_key, reason=SuppressionReason(reason))
    assert "Email this address again" not in browser.get(f"/clients/{client.id}").text
    assert browser.post(f"/clients/{client.id}/allow").status_code == 403
    assert browser.post(f"/clients/{client.id}/suppress").status_code == 302
    assert session.scalars(select(Suppression.reason)).all() == [SuppressionReason(reason)]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("page", ["edit", "delete", "suppress", "allow"])
def test_another_users_client_is_not_found(
    browser: FlaskClient, session: Session, method: str, page: str
) -> None:
    client = ClientFactory.create(owner=UserFactory.create())
    expected = 405 if method == "get" and page in ("suppress", "allow") else 404
    response = getattr(browser, method)(
        f"/clients/{client.id}/{page}", **({"data": {}} if method == "post" else {})
    )
    assert response.status_code == expected
    assert count_clients(session) == 1


@pytest.mark.parametrize("page", ["", "new", "import", "export", "import/sample.csv", "1/edit", "imports/1"])
def test_visitors_are_redirected_to_the_sign_in_page(visitor: FlaskClient, page: str) -> None:
    response = visitor.get(f"/clients/{page}")
    assert response.status_code == 302
    assert response.location.startswith("/auth/login")


def test_the_form_for_a_client_explains_custom_fields_in_words(browser: FlaskClient) -> None:
    page = browser.get("/clients/new").text
    assert "the “Client data” button inserts it" in page
    assert "{{" not in page
