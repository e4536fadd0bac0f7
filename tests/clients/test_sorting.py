"""Test the orders of the list by values without an index: custom fields, the last change, email and click."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from skymailing.clients import list_columns, sorting
from skymailing.models import Client, User
from tests.clients.pages import find_addresses
from tests.clients.test_last_contacts import START, send
from tests.support.factories import ClientFactory

pytestmark = pytest.mark.both_engines
FIELD = "attribute.value"


def add_clients(user: User, *values: str) -> None:
    """Add clients with these values of a field, whose addresses have the values' numbers, and one without."""
    for number, value in enumerate(values):
        ClientFactory.create(owner=user, email=f"{number}@x.com", attributes={"value": value})
    ClientFactory.create(owner=user, email="none@x.com")


def list_clients(browser: FlaskClient, sort: str, **arguments: str) -> list[str]:
    page = browser.get("/clients/", query_string={"sort": sort} | arguments).text
    return [address.partition("@")[0] for address in find_addresses(page)]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("number", ("-2", "9", "10,5", "1 000")),
        ("date", ("31.12.2024", "2025-01-02", "03.02.2025", "01/03/2025")),
        ("yes_no", ("no", "yes")),
        ("text", ("adler", "Berlin", "омск", "Томск")),
    ],
)
def test_a_field_is_sorted_by_its_type_and_missing_values_come_last(
    session: Session, browser: FlaskClient, user: User, type_: str, values: tuple[str, ...]
) -> None:
    user.attribute_types = {"value": type_}
    user.date_order = "dmy"
    user.locale = "ru"
    session.flush()
    add_clients(user, *values)
    numbers = [str(number) for number in range(len(values))]
    assert list_clients(browser, FIELD) == [*numbers, "none"]
    assert list_clients(browser, f"-{FIELD}") == [*reversed(numbers), "none"]


def test_the_type_of_a_field_that_was_not_imported_is_inferred(browser: FlaskClient, user: User) -> None:
    add_clients(user, "9", "10", "100")
    assert list_clients(browser, FIELD) == ["0", "1", "2", "none"]


def turn_pages(browser: FlaskClient, url: str, link: str) -> Iterator[list[str]]:
    following = url
    for _ in range(5):  # a broken link may lead to the first page again
        page = browser.get(following).text
        yield find_addresses(page)
        found = BeautifulSoup(page, "html.parser").select_one(f"a[rel={link}]")
        if found is None:
            return
        # Without the number of the page, which is used if the cursor cannot be.
        following = re.sub(r"\bpage=\d+&?", "", str(found["href"]))


@pytest.mark.parametrize("sort", [FIELD, f"-{FIELD}"])
def test_pages_of_a_sorted_list_have_each_client_once_in_both_directions(
    session: Session, browser: FlaskClient, user: User, sort: str
) -> None:
    user.attribute_types = {"value": "number"}
    session.flush()
    # Many clients share a value, also across the pages, and a third have none.
    for number in range(130):
        attributes = {} if number % 3 == 0 else {"value": f"{number % 4}.5"}
        ClientFactory.create(owner=user, email=f"{number}@x.com", attributes=attributes)
    pages = list(turn_pages(browser, f"/clients/?sort={sort}", "next"))
    assert [len(page) for page in pages] == [50, 50, 30]
    assert len({address for page in pages for address in page}) == 130
    numbered = browser.get(f"/clients/?sort={sort}&page=3").text
    assert find_addresses(numbered) == pages[2]
    previous = BeautifulSoup(numbered, "html.parser").select_one("a[rel=prev]")
    assert previous is not None
    back = list(turn_pages(browser, str(previous["href"]), "prev"))
    assert back == [pages[1], pages[0]]


# The value of each client, by its number, and what it is sorted by.
PAGED: dict[str, Callable[[int], tuple[str, int]]] = {
    "number": lambda n: (f"{n % 4}.5", n % 4),
    "date": lambda n: (f"{n % 20 + 1}.02.2025", n % 20),
    "yes_no": lambda n: ("yes" if n % 3 else "no", min(n % 3, 1)),
    "text": lambda n: (("Б" if n % 2 else "б") + str(n % 5) + "x" * 1_000, n % 5),
}
MANY, WITH_VALUE = 110, 54  # so that the second page begins after a value, the third after a missing one


def add_many(session: Session, user: User, attributes: Sequence[dict[str, str]]) -> list[Client]:
    """Add clients whose addresses begin with their numbers."""
    emails = [f"{number}@x.com" for number in range(len(attributes))]
    rows = [
        {"owner_id": user.id, "email": email, "email_key": email, "attributes": values}
        for email, values in zip(emails, attributes, strict=True)
    ]
    session.execute(insert(Client), rows)
    return list(session.scalars(select(Client).order_by(Client.id)))


def check_pages(browser: FlaskClient, sort: str, numbers: Sequence[int]) -> None:
    """Check that the pages have the clients in this order, also on the way back."""
    addresses = [f"{number}@x.com" for number in numbers]
    expected = [addresses[:50], addresses[50:100], addresses[100:]]
    assert list(turn_pages(browser, f"/clients/?sort={sort}", "next")) == expected
    back = list(turn_pages(browser, f"/clients/?sort={sort}&page=3", "prev"))
    assert back == expected[::-1]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("type_", list(PAGED))
def test_each_page_of_each_type_continues_the_one_before(
    session: Session, browser: FlaskClient, user: User, type_: str, sign: str
) -> None:
    user.attribute_types = {"value": type_}
    user.date_order = "dmy"
    session.flush()
    values = [PAGED[type_](number)[0] for number in range(WITH_VALUE)]
    add_many(session, user, [*({"value": value} for value in values), *[{}] * (MANY - WITH_VALUE)])
    ordered = sorted(range(WITH_VALUE), key=lambda number: PAGED[type_](number)[1], reverse=bool(sign))
    check_pages(browser, f"{sign}{FIELD}", [*ordered, *range(WITH_VALUE, MANY)])


@pytest.mark.parametrize("sort", [f"{sign}{key}" for key in list_columns.SORTED for sign in ("", "-")])
def test_each_page_by_time_continues_the_one_before(
    session: Session, browser: FlaskClient, user: User, sort: str
) -> None:
    clients = add_many(session, user, [{}] * MANY)
    dated = range(MANY if "changed" in sort else WITH_VALUE)
    for number in dated:
        if "changed" in sort:
            changed = START + timedelta(days=number % 7)
            only = Client.id == clients[number].id
            session.execute(update(Client).where(only).values(updated_at=changed))
        else:
            send(user, clients[number], number % 7, clicked=number % 7)
    ordered = sorted(dated, key=lambda number: number % 7, reverse=sort.startswith("-"))
    check_pages(browser, sort, [*ordered, *range(len(dated), MANY)])


def test_only_the_first_characters_of_a_text_are_sorted_and_written_to_links(
    browser: FlaskClient, user: User
) -> None:
    long = "x" * sorting.SORTED_LENGTH
    add_clients(user, f"{long}b", f"{long}a", f"{long[1:]}a")
    assert list_clients(browser, FIELD) == ["2", "0", "1", "none"]


def test_clients_are_sorted_by_their_last_email_click_and_change(
    session: Session, browser: FlaskClient, user: User
) -> None:
    anna, boris, clara = (
        ClientFactory.create(owner=user, email=f"{name}@x.com") for name in ("anna", "boris", "clara")
    )
    send(user, anna, 2, clicked=9)
    send(user, boris, 5, clicked=6)
    for day, client in enumerate((boris, clara, anna)):
        changed = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day)
        session.execute(update(Client).where(Client.id == client.id).values(updated_at=changed))
    session.flush()
    assert list_clients(browser, "last_email") == ["anna", "boris", "clara"]
    assert list_clients(browser, "-last_email") == ["boris", "anna", "clara"]
    assert list_clients(browser, "last_click") == ["boris", "anna", "clara"]
    assert list_clients(browser, "-last_click") == ["anna", "boris", "clara"]
    assert list_clients(browser, "changed") == ["boris", "clara", "anna"]
    assert list_clients(browser, "-changed") == ["anna", "clara", "boris"]


def test_a_sorted_list_keeps_its_filter(session: Session, browser: FlaskClient, user: User) -> None:
    user.attribute_types = {"value": "number"}
    session.flush()
    add_clients(user, "10", "9", "8")
    assert list_clients(browser, FIELD, q="x.com none") == ["none"]
    assert list_clients(browser, FIELD, q="x.com") == ["2", "1", "0", "none"]
    assert list_clients(browser, FIELD, status="unsubscribed") == []


def test_a_list_with_too_many_clients_keeps_its_order_and_says_why(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "MAX_SORTED", 3)
    add_clients(user, "b", "a", "c")
    page = browser.get(f"/clients/?sort={FIELD}").text
    assert [address[0] for address in find_addresses(page)] == ["n", "2", "1", "0"]
    assert "Narrow the list with a filter" in page
    header = BeautifulSoup(page, "html.parser").select_one("th[aria-sort]")
    assert header is not None
    assert header.get_text(strip=True) == "Added"
    assert list_clients(browser, FIELD, q="2@x.com") == ["2"]


def test_fewer_clients_are_sorted_by_their_letters(
    session: Session, browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "MAX_SORTED_BY_LETTERS", 1_000)
    add_many(session, user, [{}] * 1_001)
    for sort in ("last_email", "-last_click"):
        assert "lists of up to 1,000 clients" in browser.get(f"/clients/?sort={sort}").text
    for other in (FIELD, "changed"):
        assert "Narrow the list with a filter" not in browser.get(f"/clients/?sort={other}").text


def test_a_list_that_takes_too_long_to_sort_keeps_its_order_and_says_why(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "SECONDS", 0)
    add_clients(user, "b", "a")
    page = browser.get(f"/clients/?sort={FIELD}").text
    assert [address[0] for address in find_addresses(page)] == ["n", "1", "0"]
    assert "This took too long." in page


def test_fields_that_no_client_has_and_altered_cursors_do_no_harm(browser: FlaskClient, user: User) -> None:
    add_clients(user, "b", "a")
    for sort in ("attribute.nonsense", "-attribute.", "attribute.value'", "tags", "--changed"):
        assert list_clients(browser, sort) == ["none", "1", "0"]
    assert list_clients(browser, FIELD, cursor="nonsense") == ["1", "0", "none"]
