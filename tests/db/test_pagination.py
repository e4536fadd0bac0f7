"""Test keyset pagination."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.db.pagination import BoundedCount, Order, Page, count_up_to, paginate
from skymailing.extensions import db
from skymailing.models import Client, Message, User
from tests.support.factories import ClientFactory, MessageFactory

BY_NAME: Order = [(Client.full_name, False), (Client.id, False)]
NEWEST_FIRST: Order = [(Client.created_at, True), (Client.id, True)]
MIXED: Order = [(Client.full_name, False), (Client.id, True)]
STATEMENT = select(Client)


@pytest.fixture
def context(app: Flask, session: Session) -> Iterator[None]:
    with app.test_request_context():  # in a GET request, reads take no locks
        yield


def add_clients(user: User, names: str) -> list[Client]:
    return [ClientFactory.create(owner=user, full_name=name) for name in names]


def join_names(page: Page) -> str:
    return "".join(client.full_name for client in page)


def read_forward(order: Order, per_page: int) -> list[Page]:
    pages = [paginate(STATEMENT, order, None, per_page)]
    while pages[-1].next_cursor:
        pages.append(paginate(STATEMENT, order, pages[-1].next_cursor, per_page))
    return pages


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("order", [BY_NAME, NEWEST_FIRST, MIXED])
@pytest.mark.parametrize("per_page", [1, 2, 3, 7, 8])
def test_paging_forward_and_back_shows_each_row_once(user: User, order: Order, per_page: int) -> None:
    add_clients(user, "caabcba")
    pages = read_forward(order, per_page)
    ids = [client.id for page in pages for client in page]
    columns = [column.desc() if descending else column.asc() for column, descending in order]
    assert ids == [client.id for client in paginate(STATEMENT.order_by(*columns), order, None, 100)]
    assert len(ids) == 7
    assert pages[0].previous_cursor is None
    for earlier, later in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
        previous = paginate(STATEMENT, order, later.previous_cursor, per_page)
        assert [client.id for client in previous] == [client.id for client in earlier]
        assert bool(previous.previous_cursor) == bool(earlier.previous_cursor)


@pytest.mark.usefixtures("context")
def test_added_rows_do_not_repeat_or_hide_others(user: User) -> None:
    add_clients(user, "bdfh")
    first = paginate(STATEMENT, BY_NAME, None, 2)
    db.session.rollback()
    add_clients(user, "acx")
    second = paginate(STATEMENT, BY_NAME, first.next_cursor, 2)
    assert (join_names(first), join_names(second)) == ("bd", "fh")
    assert join_names(paginate(STATEMENT, BY_NAME, second.previous_cursor, 2)) == "cd"


@pytest.mark.usefixtures("context")
def test_paging_back_ends_with_a_full_first_page(user: User) -> None:
    add_clients(user, "bcd")
    page = paginate(STATEMENT, BY_NAME, paginate(STATEMENT, BY_NAME, None, 2).next_cursor, 2)
    db.session.rollback()
    add_clients(user, "a")
    previous = paginate(STATEMENT, BY_NAME, page.previous_cursor, 2)
    assert join_names(previous) == "bc"
    assert join_names(paginate(STATEMENT, BY_NAME, previous.previous_cursor, 2)) == "ab"


@pytest.mark.usefixtures("context")
def test_a_cursor_with_no_rows_left_returns_the_first_page(user: User, session: Session) -> None:
    last = add_clients(user, "abc")[-1]
    page = paginate(STATEMENT, BY_NAME, None, 2)
    db.session.rollback()
    session.delete(last)
    session.flush()
    assert join_names(paginate(STATEMENT, BY_NAME, page.next_cursor, 2)) == "ab"


@pytest.mark.usefixtures("context")
def test_selecting_several_columns_returns_rows(user: User) -> None:
    client = add_clients(user, "a")[0]
    page = paginate(select(Client.id, Client.full_name), BY_NAME, None)
    assert (page.items[0].id, page.items[0].full_name) == (client.id, "a")


def encode(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


NAME_AND_ID = "full_name+,id+"


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "é",
        "====",
        encode(None),
        encode(7),
        encode([NAME_AND_ID, False]),
        encode([NAME_AND_ID, False, ["a"]]),
        encode([NAME_AND_ID, False, ["a", "1"]]),
        encode([NAME_AND_ID, False, ["a", True]]),
        encode([NAME_AND_ID, False, ["a", 10**30]]),
        encode([NAME_AND_ID, False, [None, 1]]),
        encode([NAME_AND_ID, False, ["\0", 1]]),
        encode([NAME_AND_ID, False, ["\ud800", 1]]),
        encode([NAME_AND_ID, "no", ["a", 1]]),
        encode(["full_name-,id-", False, ["a", 1]]),
        encode(["created_at-,id-", False, ["2026-01-01T00:00:00", 1]]),
        encode(["created_at-,id-", False, ["0001-01-01T00:00:00+14:00", 1]]),
    ],
)
def test_an_invalid_cursor_returns_the_first_page(user: User, cursor: str) -> None:
    add_clients(user, "ab")
    assert join_names(paginate(STATEMENT, BY_NAME, cursor)) == "ab"
    assert len(paginate(STATEMENT, NEWEST_FIRST, cursor)) == 2


@pytest.mark.usefixtures("context")
def test_a_number_too_large_for_an_integer_key_returns_the_first_page(user: User) -> None:
    MessageFactory.create(owner=user)

    page = paginate(select(Message), [(Message.id, True)], encode(["id-", False, [2**31]]))

    assert (len(page), page.previous_cursor) == (1, None)


@settings(max_examples=50)
@given(cursor=st.text())
@pytest.mark.usefixtures("context")
def test_no_cursor_raises_an_error(cursor: str) -> None:
    assert len(paginate(STATEMENT, BY_NAME, cursor)) == 0


@pytest.mark.usefixtures("context")
def test_counting_stops_at_the_limit(user: User) -> None:
    add_clients(user, "abc")
    assert str(count_up_to(STATEMENT, limit=2)) == "2+"
    assert str(count_up_to(STATEMENT, limit=3)) == "3"
    assert str(count_up_to(STATEMENT.order_by(Client.id), limit=4)) == "3"


@pytest.mark.usefixtures("context")
def test_times_keep_their_precision_in_a_cursor(user: User) -> None:
    first, second = add_clients(user, "ab")
    assert second.created_at - first.created_at < timedelta(seconds=1)
    page = paginate(STATEMENT, NEWEST_FIRST, None, 1)
    assert join_names(page) == "b"
    assert join_names(paginate(STATEMENT, NEWEST_FIRST, page.next_cursor, 1)) == "a"


@pytest.mark.usefixtures("context")
def test_pages_have_numbers(user: User) -> None:
    ClientFactory.create_batch(7, owner=user)
    statement = select(Client).where(Client.owner_id == user.id)
    ids = list(db.session.scalars(select(Client.id).order_by(Client.id)))
    order: Order = [(Client.id, False)]

    third = paginate(statement, order, None, 2, number=3)
    assert ([client.id for client in third], third.number) == (ids[4:6], 3)
    fourth = paginate(statement, order, third.next_cursor, 2, number=4)
    assert ([client.id for client in fourth], fourth.number, fourth.next_cursor) == (ids[6:], 4, None)
    second = paginate(statement, order, third.previous_cursor, 2, number=2)
    assert ([client.id for client in second], second.number) == (ids[2:4], 2)
    for number in (-1, 0, 5, 201, 10**12):
        assert paginate(statement, order, None, 2, number=number).number == 1


@pytest.mark.parametrize(
    ("number", "count", "shown"),
    [
        (1, BoundedCount(120, True), [1, 2, 3]),
        (1, BoundedCount(1000, True), [1, 2, None, 20]),
        (4, BoundedCount(1000, True), [1, 2, 3, 4, 5, None, 20]),
        (10, BoundedCount(1000, True), [1, None, 9, 10, 11, None, 20]),
        (20, BoundedCount(1000, True), [1, None, 19, 20]),
        (1, BoundedCount(10_000, False), [1, 2, None]),
        (300, BoundedCount(10_000, False), [1, None, 300, None]),
    ],
)
def test_the_page_numbers_around_a_page(number: int, count: BoundedCount, shown: list[int | None]) -> None:
    assert Page([], number=number).list_page_numbers(count) == shown
