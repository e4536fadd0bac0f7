"""Test adding tags to a client, and removing them, on the client's page."""

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, select
from sqlalchemy.orm import Session

from skymailing.extensions import db
from skymailing.models import Client, Tag, User
from tests.clients.pages import find_errors
from tests.clients.test_tags import add_tags, read_tags
from tests.support.factories import ClientFactory, UserFactory

pytestmark = pytest.mark.one_engine


@pytest.fixture
def anna(session: Session, user: User) -> Client:
    """Return a client with the tag VIP; the owner has the tag "new", too."""
    add_tags(session, user, {"VIP": "a", "new": ""})
    return session.scalars(select(Client)).one()


def press_remove(browser: FlaskClient, client: Client, name: str) -> str:
    """Press the button that removes a tag, and return the next page."""
    url = f"/clients/{client.id}"
    page = BeautifulSoup(browser.get(url).text, "html.parser")
    button = page.find("button", attrs={"aria-label": f"Remove tag “{name}”"})
    assert button
    form = button.find_parent("form")
    assert form
    data = {str(button["name"]): str(button["value"])}
    return browser.post(str(form["action"]), data=data, follow_redirects=True).text


@pytest.mark.both_engines
def test_tags_are_added_to_those_that_the_client_has(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    url = f"/clients/{anna.id}/tags"
    response = browser.post(url, data={"tags": " vip, New,, two  words , new"})
    assert response.location == f"/clients/{anna.id}#tags"
    page = browser.get(f"/clients/{anna.id}").text
    assert "2 tags added." in page
    chips = BeautifulSoup(page, "html.parser").select(".client-tags a.tag-label")
    assert [chip.text for chip in chips] == ["new", "two words", "VIP"]
    assert read_tags(session) == {"a@x.com": {"VIP", "new", "two words"}}


def test_adding_a_tag_that_the_client_has_changes_nothing(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    page = browser.post(f"/clients/{anna.id}/tags", data={"tags": "vip"}, follow_redirects=True).text
    assert "No new tags: the client has them already." in page
    assert read_tags(session) == {"a@x.com": {"VIP"}}
    assert set(session.scalars(select(Tag.name))) == {"VIP", "new"}


def test_the_field_suggests_the_tags_that_the_client_does_not_have(
    browser: FlaskClient, anna: Client
) -> None:
    page = BeautifulSoup(browser.get(f"/clients/{anna.id}").text, "html.parser")
    field = page.select_one(".add-tags input[name=tags]")
    assert field
    assert [option["value"] for option in page.select(f"datalist#{field['list']} option")] == ["new"]
    details = page.select_one(".add-tags")
    assert details
    assert not details.has_attr("open")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (" , ", "Enter a name."),
        ("x" * 101, "The name of a tag can have up to 100 characters."),
        (",".join(map(str, range(101))), "A client can have up to 100 tags."),
        (",".join(map(str, range(100))), "A client can have up to 100 tags."),  # and she has one
    ],
)
def test_tags_that_cannot_be_added_are_shown_again(
    browser: FlaskClient, session: Session, anna: Client, text: str, error: str
) -> None:
    page = browser.post(f"/clients/{anna.id}/tags", data={"tags": text}).text
    assert find_errors(page) == {"new-tags": error}
    field = BeautifulSoup(page, "html.parser").select_one(".add-tags[open] input[name=tags]")
    assert field
    assert field["value"] == text
    assert read_tags(session) == {"a@x.com": {"VIP"}}


def test_a_client_can_have_a_hundred_tags(browser: FlaskClient, session: Session, anna: Client) -> None:
    browser.post(f"/clients/{anna.id}/tags", data={"tags": ",".join(map(str, range(99)))})
    assert len(read_tags(session)["a@x.com"]) == 100


def test_an_owner_cannot_exceed_the_limit_of_tags(
    browser: FlaskClient, session: Session, user: User, anna: Client
) -> None:
    session.add_all(Tag(owner_id=user.id, name=str(n), name_key=str(n)) for n in range(998))
    session.commit()
    page = browser.post(f"/clients/{anna.id}/tags", data={"tags": "one more"}).text
    assert find_errors(page) == {"new-tags": "You can have up to 1000 tags."}
    assert read_tags(session) == {"a@x.com": {"VIP"}}


@pytest.mark.both_engines
def test_a_tag_can_be_removed(browser: FlaskClient, session: Session, user: User, anna: Client) -> None:
    other = ClientFactory.create(owner=user, email="b@x.com")
    for client in (anna, other):
        browser.post(f"/clients/{client.id}/tags", data={"tags": "VIP, <b>"})
    assert "Tag “&lt;b&gt;” removed." in press_remove(browser, anna, "<b>")
    assert read_tags(session) == {"a@x.com": {"VIP"}, "b@x.com": {"VIP", "<b>"}}


def test_removing_a_tag_again_in_a_second_window_changes_nothing(
    browser: FlaskClient, session: Session, anna: Client
) -> None:
    tag_id = session.scalars(select(Tag.id).where(Tag.name == "VIP")).one()
    press_remove(browser, anna, "VIP")
    for value in (str(tag_id), "", "x", "9" * 30):
        response = browser.post(f"/clients/{anna.id}/tags/remove", data={"tag": value})
        assert response.location == f"/clients/{anna.id}#tags"
    assert "removed" not in browser.get(f"/clients/{anna.id}").text
    assert read_tags(session) == {}


def test_the_tags_of_others_cannot_be_changed(browser: FlaskClient, session: Session, anna: Client) -> None:
    owner = UserFactory.create()
    tag = add_tags(session, owner, {"secret": "s"})["secret"]
    stranger = session.scalars(select(Client).where(Client.owner_id == owner.id)).one()
    for action, data in (("", {"tags": "mine"}), ("/remove", {"tag": str(tag.id)})):
        assert browser.post(f"/clients/{stranger.id}/tags{action}", data=data).status_code == 404
    browser.post(f"/clients/{anna.id}/tags/remove", data={"tag": str(tag.id)})
    assert read_tags(session) == {"a@x.com": {"VIP"}, "s@x.com": {"secret"}}


def test_the_list_gets_the_tags_of_a_client_or_the_reason(browser: FlaskClient, anna: Client) -> None:
    url, partial = f"/clients/{anna.id}/tags", {"HX-Request": "true"}
    answer = browser.post(url, data={"tags": "gift, vip"}, headers=partial)
    labels = BeautifulSoup(answer.text, "html.parser").select(".tag-labels > .tag-label")
    assert [label.text for label in labels] == ["gift", "VIP"]
    answer = browser.post(url, data={"tags": " , "}, headers=partial)
    assert (answer.status_code, answer.text) == (422, "Enter a name.")


def test_the_list_gets_no_tags_of_a_client_who_is_deleted_at_the_same_time(
    app: Flask, browser: FlaskClient, anna: Client
) -> None:
    with app.app_context():
        engine = db.engine

    def delete_first(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT client_tags.client_id, tags.name"):
            connection.exec_driver_sql("DELETE FROM clients")

    event.listen(engine, "before_cursor_execute", delete_first)
    try:
        answer = browser.post(
            f"/clients/{anna.id}/tags", data={"tags": "gift"}, headers={"HX-Request": "true"}
        )
    finally:
        event.remove(engine, "before_cursor_execute", delete_first)
    assert (answer.status_code, answer.text.strip()) == (200, "")
