"""Test what saved views of the client list show when their segments and tags change."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import Segment, User
from tests.clients.pages import find_addresses, find_undo_url
from tests.clients.test_saved_views import clients, list_links, list_shown, save  # noqa: F401 - a fixture
from tests.clients.test_tags import add_tags

pytestmark = pytest.mark.one_engine


def test_a_view_with_a_deleted_segment_or_tag_says_so(
    browser: FlaskClient, session: Session, user: User
) -> None:
    segment = Segment(
        owner_id=user.id, name="Omsk", conditions={"field": "attribute.city", "op": "is_not_empty"}
    )
    session.add(segment)
    tag = add_tags(session, user, {"vip": "a"})["vip"]
    session.commit()
    save(browser, "Segment", segment=str(segment.id))
    save(browser, "Tagged", tag="vip")
    browser.post(f"/segments/{segment.id}/delete")
    browser.post(f"/clients/tags/{tag.id}/delete")
    links = list_links(browser.get("/clients/").text)
    for name, text in (
        ("Segment", "This segment does not exist"),
        ("Tagged", "The tag “vip” does not exist"),
    ):
        page = browser.get(links[name]).text
        assert text in page
        assert list_shown(page) == [name]


def test_a_view_follows_its_segment_when_it_is_deleted_and_restored(
    browser: FlaskClient, session: Session, user: User
) -> None:
    """SQLite gives the ID of the newest segment to the next one, which the view must not show."""
    conditions = {"field": "attribute.city", "op": "equals", "value": "Omsk"}
    segment = Segment(owner_id=user.id, name="Omsk", conditions=conditions)
    session.add(segment)
    session.commit()
    save(browser, "In Omsk", segment=str(segment.id))
    page = browser.post(f"/segments/{segment.id}/delete", follow_redirects=True).text
    session.expire_all()
    session.add(Segment(owner_id=user.id, name="Tver", conditions=conditions | {"value": "Tver"}))
    session.commit()
    view = list_links(browser.get("/clients/").text)["In Omsk"]
    assert "This segment does not exist" in browser.get(view).text

    browser.post(find_undo_url(page))
    session.expire_all()
    view = list_links(browser.get("/clients/").text)["In Omsk"]
    assert sorted(find_addresses(browser.get(view).text)) == ["anna@x.com", "boris@x.com"]


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_view_follows_its_tag_when_it_is_renamed_or_merged(
    browser: FlaskClient, session: Session, user: User, is_merged: bool
) -> None:
    tags = add_tags(session, user, {"vip": "a", "best": "b"})
    session.commit()
    save(browser, "Best", tag="VIP", sort="name")
    save(browser, "Others", tag="best")
    if is_merged:
        browser.post(f"/clients/tags/{tags['vip'].id}/merge", data={"into": str(tags["best"].id)})
    else:
        browser.post(f"/clients/tags/{tags['vip'].id}/edit", data={"name": "gold"})
    session.refresh(user)
    name = "best" if is_merged else "gold"
    assert user.client_views == [
        {"name": "Best", "tag": name, "sort": "name"},
        {"name": "Others", "tag": "best"},
    ]
