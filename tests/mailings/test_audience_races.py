"""Test what happens when two windows change tags, segments and audiences at the same time.

The races need two open transactions, which only PostgreSQL has.
"""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from skymailing.clients.tags import find_or_create_tags
from skymailing.models import Segment, Tag, User, client_tags
from tests.clients.test_tags import add_tags
from tests.mailings.pages import mailing_fields
from tests.support.factories import MailingFactory, MessageFactory
from tests.support.windows import Window, make_posting_window, transaction

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
CITY = {"field": "full_name", "op": "is_set"}


@pytest.fixture
def tags(session: Session, user: User) -> dict[str, int]:
    """Create two tags of a client; the one with the lower ID is stored and sorted after the other."""
    ids = {name: tag.id for name, tag in add_tags(session, user, {"z": "a", "a": "a"}).items()}
    session.commit()
    return ids


def test_editing_an_audience_cannot_deadlock_with_a_change_of_its_tags(
    app: Flask, browser: FlaskClient, session: Session, user: User, tags: dict[str, int]
) -> None:
    """Merging locks tags by ID, then segments."""
    segment = Segment(owner_id=user.id, name="Named", conditions=CITY)
    mailing = MailingFactory.create(owner=user, message=MessageFactory.create(owner=user))
    session.add(segment)
    session.flush()
    path = f"/mailings/{mailing.id}/edit"
    fields = mailing_fields(mailing.message) | {
        "audience": "segments",
        "include": [f"segment:{segment.id}", "tag:a"],
        "exclude": ["tag:z"],
    }
    segment_id = segment.id
    session.commit()
    with transaction(app) as merging:
        merging.execute(select(Tag.id).where(Tag.id == tags["z"]).with_for_update())
        window = make_posting_window(browser, path, fields)
        window.wait_for_lock()
        merging.execute(select(Tag.id).where(Tag.id == tags["a"]).with_for_update())
        merging.execute(select(Segment.id).where(Segment.id == segment_id).with_for_update())
    assert window.finish().status_code == 302


def test_an_import_cannot_deadlock_with_a_merge_of_its_tags(
    app: Flask, session: Session, user: User, tags: dict[str, int]
) -> None:
    owner_id = user.id

    def find() -> dict[str, int]:
        with app.app_context():
            return find_or_create_tags(owner_id, ["a", "z"])

    with transaction(app) as merging:
        merging.execute(select(Tag.id).where(Tag.id == tags["z"]).with_for_update())
        window = Window(find)
        window.wait_for_lock()
        merging.execute(select(Tag.id).where(Tag.id == tags["a"]).with_for_update())
    assert window.finish() == tags


def test_the_form_of_a_client_cannot_deadlock_with_a_merge(
    app: Flask, browser: FlaskClient, session: Session, user: User, tags: dict[str, int]
) -> None:
    new = add_tags(session, user, {"new": ""})["new"].id
    client_id = session.scalar(select(client_tags.c.client_id).where(client_tags.c.tag_id == tags["a"]))
    session.commit()
    fields = {"email": "a@x.com", "tags": "z, new"}
    with transaction(app) as merging:
        merging.execute(select(Tag.id).where(Tag.id.in_([tags["a"], new])).with_for_update())
        window = make_posting_window(browser, f"/clients/{client_id}/edit", fields)
        window.wait_for_lock()
        merging.execute(delete(client_tags).where(client_tags.c.tag_id == tags["a"]))
    assert window.finish().status_code == 302
    assert set(session.scalars(select(client_tags.c.tag_id))) == {tags["z"], new}


def test_renaming_a_tag_to_a_name_that_was_just_taken_is_rejected(
    app: Flask, browser: FlaskClient, user: User, session: Session, tags: dict[str, int]
) -> None:
    with transaction(app) as other:
        other.execute(insert(Tag).values(owner_id=user.id, name="Gold", name_key="gold"))
        window = make_posting_window(browser, f"/clients/tags/{tags['a']}/edit", {"name": "gold"})
        window.wait_for_lock()
    assert "You already have the tag “gold”" in window.finish().text
    assert session.scalar(select(Tag.name).where(Tag.id == tags["a"])) == "a"


@pytest.mark.parametrize("gone", ["a", "z"])
def test_merging_a_tag_that_was_just_deleted_is_rejected(
    app: Flask, browser: FlaskClient, session: Session, tags: dict[str, int], gone: str
) -> None:
    with transaction(app) as other:
        other.execute(delete(client_tags).where(client_tags.c.tag_id == tags[gone]))
        other.execute(delete(Tag).where(Tag.id == tags[gone]))
        window = make_posting_window(browser, f"/clients/tags/{tags['a']}/merge", {"into": str(tags["z"])})
        window.wait_for_lock()
    assert "This tag has been deleted or merged into another one." in window.finish().text


@pytest.mark.parametrize("action", ["edit", "delete"])
def test_changing_a_segment_that_was_just_deleted_is_rejected(
    app: Flask, browser: FlaskClient, user: User, session: Session, action: str
) -> None:
    segment = Segment(owner_id=user.id, name="Named", conditions=CITY)
    session.add(segment)
    session.commit()
    fields = {"name": "New", "conditions": json.dumps(CITY)}
    with transaction(app) as other:
        other.execute(delete(Segment).where(Segment.id == segment.id))
        window = make_posting_window(browser, f"/segments/{segment.id}/{action}", fields)
        window.wait_for_lock()
    assert "This segment has been deleted." in window.finish().text
