"""Test saved views of the list of clients: save, open, replace and delete them, and undo that."""

from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import Segment, User
from tests.clients.pages import find_addresses, find_errors, find_undo_url
from tests.clients.test_tags import add_tags
from tests.support.factories import ClientFactory, UserFactory

# Views are stored as JSON in the same way on both databases.
pytestmark = pytest.mark.one_engine


@pytest.fixture(autouse=True)
def clients(user: User) -> None:
    """Create clients in two cities."""
    for email, city in (("anna@x.com", "Omsk"), ("boris@x.com", "Omsk"), ("clara@x.com", "Tver")):
        ClientFactory.create(owner=user, email=email, attributes={"city": city})


def parse(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


def save(browser: FlaskClient, name: str, **arguments: str) -> TestResponse:
    """Save a view as a page without scripts does: with the form that the list shows."""
    page = parse(browser.get("/clients/", query_string=arguments).text)
    form = page.select_one(".save-view form")
    assert form is not None
    hidden = {str(field["name"]): field["value"] for field in form.select("input[type=hidden]")}
    return browser.post(str(form["action"]), data=hidden | {"name": name})


def list_links(page: str) -> dict[str, str]:
    """Return the address of each view in the row above the list."""
    return {link.text: str(link["href"]) for link in parse(page).select(".views a")}


def list_shown(page: str) -> list[str]:
    return [link.text for link in parse(page).select(".views a[aria-current]")]


def find_delete_form(page: str) -> tuple[str, dict[str, Any]]:
    """Return the address of the form that deletes the view, and what its button sends."""
    (form,) = parse(page).select(".views form")
    button = form.button
    assert isinstance(button, Tag)
    return str(form["action"]), {str(button["name"]): button["value"]}


def has_save_button(page: str) -> bool:
    return parse(page).select_one(".save-view") is not None


def test_a_list_without_a_filter_offers_nothing_to_save(browser: FlaskClient) -> None:
    page = browser.get("/clients/").text
    assert (list_links(page), has_save_button(page)) == ({}, False)
    assert not has_save_button(browser.get("/clients/?sort=-added&status=nonsense&page=1").text)


def test_a_view_keeps_the_filter_and_the_order(browser: FlaskClient, session: Session, user: User) -> None:
    segment = Segment(
        owner_id=user.id, name="Omsk", conditions={"field": "attribute.city", "op": "is_not_empty"}
    )
    session.add(segment)
    add_tags(session, user, {"vip": "a"})
    session.commit()
    arguments = {"q": "x.com", "tag": "vip", "segment": str(segment.id), "status": "mailable"}
    arguments |= {"activity": "new", "sort": "-attribute.city"}
    response = save(browser, "  Omsk   by city ", **arguments)

    session.refresh(user)
    assert user.client_views == [{"name": "Omsk by city"} | arguments]
    page = browser.get(response.headers["Location"]).text
    assert "View saved." in page
    assert list_shown(page) == ["Omsk by city"]
    assert not has_save_button(page)
    everything = browser.get("/clients/").text
    assert list_shown(everything) == ["All"]
    link = list_links(everything)["Omsk by city"]
    assert parse(browser.get(link).text).select_one("#tag option[selected]").text == "vip"  # type: ignore[union-attr]


def test_views_show_their_clients_in_their_order(browser: FlaskClient) -> None:
    save(browser, "Omsk", q="omsk", sort="-email")
    save(browser, "by address", sort="email")
    links = list_links(browser.get("/clients/").text)
    assert list(links) == ["All", "by address", "Omsk"]
    assert find_addresses(browser.get(links["Omsk"]).text) == ["boris@x.com", "anna@x.com"]
    assert find_addresses(browser.get(links["by address"]).text) == [
        "anna@x.com",
        "boris@x.com",
        "clara@x.com",
    ]
    other = browser.get("/clients/?q=omsk&sort=email").text
    assert (list_shown(other), has_save_button(other)) == ([], True)


def test_a_view_is_recognized_on_its_other_pages(browser: FlaskClient) -> None:
    save(browser, "Omsk", q="omsk")
    page = browser.get("/clients/?page=1&q=omsk&sort=-added&tag=&segment=").text
    assert (list_shown(page), has_save_button(page)) == (["Omsk"], False)


def test_saving_under_an_existing_name_replaces_that_view(
    browser: FlaskClient, session: Session, user: User
) -> None:
    save(browser, "Cities", q="omsk")
    assert "The name of an existing view replaces it." in browser.get("/clients/?q=tver").text
    page = browser.get(save(browser, "cities", q="tver").headers["Location"]).text
    assert "View updated." in page
    session.refresh(user)
    assert user.client_views == [{"name": "cities", "q": "tver"}]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "Enter a name."),
        (" \x00 ", "Enter a name."),
        ("\u200b", "Enter a name."),
        ("я" * 61, "The name of a view can have up to 60 characters."),
    ],
)
def test_a_rejected_name_shows_its_error_beside_the_field_and_keeps_the_list(
    browser: FlaskClient, session: Session, user: User, name: str, error: str
) -> None:
    page = save(browser, name, q="omsk", sort="email").text
    assert find_errors(page)["view-name"] == error
    field = parse(page).select_one(".save-view[open] #view-name")
    assert field is not None
    assert field["aria-invalid"] == "true"
    assert find_addresses(page) == ["anna@x.com", "boris@x.com"]
    session.refresh(user)
    assert user.client_views is None


def test_the_links_of_a_page_with_a_rejected_name_show_the_list(browser: FlaskClient) -> None:
    page = parse(save(browser, "", q="omsk").text)
    link = page.select_one("th a[href*='sort=-email'], th a[href*='sort=email']")
    assert link is not None
    response = browser.get(f"{link['href']}&_external=1&_scheme=javascript&endpoint=x")
    assert response.headers["Location"] == "/clients/?q=omsk&sort=email"


def test_a_rejected_name_is_shown_as_text(browser: FlaskClient) -> None:
    name = "<b>" + "x" * 60
    page = save(browser, name, q="omsk").text
    assert name not in page
    field = parse(page).select_one("#view-name")
    assert field is not None
    assert field["value"] == name
    save(browser, "<b>Omsk", q="omsk")
    assert "<b>Omsk" in list_links(browser.get("/clients/").text)


def test_the_longest_name_and_the_last_view_can_be_saved(
    browser: FlaskClient, session: Session, user: User
) -> None:
    for number in range(19):
        save(browser, f"view {number}", q=str(number))
    save(browser, "я" * 60, q="omsk")
    assert (
        find_errors(save(browser, "one more", q="tver").text)["view-name"] == "You can save up to 20 views."
    )
    assert "View updated." in browser.get(save(browser, "VIEW 7", q="tver").headers["Location"]).text
    session.refresh(user)
    assert len(user.client_views or []) == 20


def test_a_deleted_view_can_be_restored(browser: FlaskClient, session: Session, user: User) -> None:
    save(browser, "Omsk", q="omsk", sort="email")
    save(browser, "Tver", q="tver")
    path, data = find_delete_form(browser.get("/clients/?q=omsk&sort=email").text)
    page = browser.post(path, data=data, follow_redirects=True).text
    assert "View “Omsk” deleted." in page
    assert list(list_links(page)) == ["All", "Tver"]
    assert find_addresses(page) == ["anna@x.com", "boris@x.com"]
    assert has_save_button(page)

    undo = find_undo_url(page)
    restored = browser.post(undo, follow_redirects=True).text
    assert list_shown(restored) == ["Omsk"]
    session.refresh(user)
    assert user.client_views == [
        {"name": "Tver", "q": "tver"},
        {"name": "Omsk", "q": "omsk", "sort": "email"},
    ]

    assert "You already have the view “Omsk”." in browser.post(undo, follow_redirects=True).text
    session.refresh(user)
    assert len(user.client_views or []) == 2


def test_deleting_a_view_twice_does_nothing(browser: FlaskClient, session: Session, user: User) -> None:
    save(browser, "Omsk", q="omsk")
    save(browser, "Tver", q="tver")
    for _ in range(2):
        assert browser.post("/clients/views/delete", data={"name": "Omsk"}).status_code == 302
    session.refresh(user)
    assert user.client_views == [{"name": "Tver", "q": "tver"}]


def test_views_of_other_users_are_neither_shown_nor_changed(
    browser: FlaskClient, session: Session, user: User
) -> None:
    theirs = [{"name": "Secret", "q": "omsk"}]
    other = UserFactory.create(client_views=theirs)
    assert "Secret" not in browser.get("/clients/?q=omsk").text
    browser.post("/clients/views/delete", data={"name": "Secret"})
    save(browser, "Secret", q="tver")
    session.expire_all()
    assert other.client_views == theirs
    assert user.client_views == [{"name": "Secret", "q": "tver"}]


def test_a_view_sorted_by_a_field_that_no_client_has_still_opens(
    browser: FlaskClient, session: Session, user: User
) -> None:
    user.client_views = [{"name": "Old", "q": "x.com", "sort": "attribute.gone"}]
    session.commit()
    page = browser.get(list_links(browser.get("/clients/").text)["Old"]).text
    assert find_addresses(page) == ["clara@x.com", "boris@x.com", "anna@x.com"]
    assert list_shown(page) == ["Old"]


@pytest.mark.both_engines
def test_saving_in_one_window_keeps_the_views_of_another(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    other = app.test_client()
    with browser.session_transaction() as own, other.session_transaction() as same:
        same.update(own)
    save(browser, "Omsk", q="omsk")
    save(other, "Tver", q="tver")
    session.refresh(user)
    assert [view["name"] for view in user.client_views or []] == ["Omsk", "Tver"]
