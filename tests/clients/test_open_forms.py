"""Test saving a client's form that was opened before its tags were changed elsewhere."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, Tag, User
from tests.clients.test_tags import add_tags, read_tags


def open_form(browser: FlaskClient, client: Client) -> dict[str, str]:
    """Return the fields of the client's form as a browser would post them."""
    page = BeautifulSoup(browser.get(f"/clients/{client.id}/edit").text, "html.parser")
    fields = page.select("form.card input[name]")
    return {str(field["name"]): str(field.get("value", "")) for field in fields}


@pytest.mark.one_engine
def test_saving_an_open_form_keeps_tag_changes_made_since(
    browser: FlaskClient, user: User, session: Session
) -> None:
    tags = add_tags(session, user, {"vip": "a", "gone": "a", "taken off": "a", "dropped": "a", "city": "a"})
    client = session.scalars(select(Client)).one()
    ids = {name: tag.id for name, tag in tags.items()}
    session.commit()
    form = open_form(browser, client)

    browser.post(f"/clients/tags/{ids['vip']}/edit", data={"name": "gold"})
    browser.post(f"/clients/tags/{ids['dropped']}/edit", data={"name": "silver"})
    browser.post(f"/clients/tags/{ids['gone']}/delete")
    browser.post("/clients/bulk", data={"action": "untag", "value": "taken off", "ids": [client.id]})
    browser.post("/clients/bulk", data={"action": "tag", "value": "put on", "ids": [client.id]})
    edited = form | {"tags": "City, new, taken off, GONE, vip"}
    # A page with an error shows the form again, with the tags that it showed at first.
    page = browser.post(f"/clients/{client.id}/edit", data=edited | {"email": "wrong"}).text
    shown = BeautifulSoup(page, "html.parser").select_one("input[name=shown_tags]")
    assert shown
    edited["shown_tags"] = str(shown["value"])
    assert browser.post(f"/clients/{client.id}/edit", data=edited).status_code == 302

    session.expire_all()
    assert read_tags(session) == {"a@x.com": {"gold", "city", "new", "put on"}}
    assert set(session.scalars(select(Tag.name))) == {"gold", "silver", "city", "new", "put on", "taken off"}


@pytest.mark.one_engine
def test_a_forged_list_of_shown_tags_changes_no_other_client(
    browser: FlaskClient, user: User, session: Session
) -> None:
    tags = add_tags(session, user, {"vip": "ab"})
    client = session.scalars(select(Client).where(Client.email == "a@x.com")).one()
    session.commit()
    for shown in (
        f"{tags['vip'].id}:x,:,9{'9' * 30}:y,\0:z",
        "vip",
        ",,",
        ",".join(f"{n}:x{n}" for n in range(70_000)),
    ):
        data = {"email": "a@x.com", "tags": "", "shown_tags": shown}
        assert browser.post(f"/clients/{client.id}/edit", data=data).status_code == 302
    session.expire_all()
    assert read_tags(session) == {"b@x.com": {"vip"}}
