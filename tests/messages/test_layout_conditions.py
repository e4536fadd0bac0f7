"""Test conditions on tags in layouts, which can change after their messages were saved."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skymailing.models import Layout, Mailing, Message, Tag, User
from tests.mailings.pages import mailing_fields
from tests.support.factories import ClientFactory

pytestmark = pytest.mark.one_engine

FRAME = '{% if has_tag["vip"] %}<p>For you</p>{% endif %}{{ content }}'


def save_layout(browser: FlaskClient, source: str) -> str:
    form = {"name": "Frame", "source_format": "html", "source": source}
    return browser.post("/messages/layouts/new", data=form).text


def add_tag(session: Session, user: User) -> None:
    session.add(Tag(owner_id=user.id, name="vip", name_key="vip"))
    session.flush()


def test_a_layout_with_a_condition_on_an_unknown_tag_is_not_saved(
    browser: FlaskClient, session: Session, user: User
) -> None:
    assert "the tag “vip”, which does not exist" in save_layout(browser, FRAME)
    add_tag(session, user)
    save_layout(browser, FRAME)
    assert session.scalars(select(Layout.body)).one() == FRAME


@pytest.mark.both_engines
def test_a_mailing_is_refused_if_a_changed_layout_has_a_condition_on_a_deleted_tag(
    browser: FlaskClient, session: Session, user: User
) -> None:
    ClientFactory.create(owner=user)
    add_tag(session, user)
    save_layout(browser, "<p>{{ content }}</p>")
    layout_id = session.scalars(select(Layout.id)).one()
    form = {"subject": "News", "format": "markdown", "body": "Hello", "layout": str(layout_id)}
    browser.post("/messages/new", data=form)
    message = session.scalars(select(Message)).one()
    changed = {"name": "Frame", "source_format": "html", "source": FRAME}
    assert browser.post(f"/messages/layouts/{layout_id}/edit", data=changed).status_code == 302
    session.execute(delete(Tag))

    for fields in (mailing_fields(message), mailing_fields(message, check="1")):
        response = browser.post("/mailings/new", data=fields)
        assert response.status_code == 200
        assert "a condition on a tag or segment that does not exist" in response.text
    assert session.scalars(select(Mailing)).all() == []
    assert browser.get(f"/messages/{message.id}").status_code == 200

    add_tag(session, user)
    assert browser.post("/mailings/new", data=mailing_fields(message)).status_code == 302
