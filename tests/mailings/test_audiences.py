"""Test mailings to segments and tags: the form, its summary, the services, and what a mailing's page says."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.clock import utcnow
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.extensions import db
from skymailing.mailings import deletion, services
from skymailing.mailings.errors import DuplicateSubmission, InvalidMailing, MailingError
from skymailing.mailings.values import MailingValues
from skymailing.models import Audience, Client, Mailing, MailingAudience, Segment, Tag, User, client_tags
from tests.mailings.pages import get_main_text, mailing_fields, soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory
from tests.support.statements import record_statements

SYSTEM = Actor(None, "operator")
OMSK = {"field": "attribute.city", "op": "equals", "value": "Омск"}
BROKEN = {"field": "tag", "op": "is_not", "value": "gone"}


@pytest.fixture
def town(session: Session, user: User) -> dict[str, Any]:
    """Create clients in Omsk and Tomsk, the tag of one of them, and segments."""
    user.attribute_types = {"city": "text"}
    for name, city in (("anna", "Омск"), ("boris", "Омск"), ("clara", "Томск")):
        ClientFactory.create(owner=user, email=f"{name}@example.org", attributes={"city": city})
    tag = Tag(owner_id=user.id, name="Wholesale: big", name_key="wholesale: big")
    segments = [
        Segment(owner_id=user.id, name=name, conditions=conditions)
        for name, conditions in (("Omsk", OMSK), ("Broken", BROKEN))
    ]
    session.add_all([tag, *segments])
    session.flush()
    return {"tag": tag, "omsk": segments[0], "broken": segments[1]}


def tag_client(session: Session, tag: Tag, email: str) -> None:
    client_id = session.scalars(select(Client.id).where(Client.email == email)).one()
    session.execute(insert(client_tags), [{"tag_id": tag.id, "client_id": client_id}])


def addresses(mailing: Mailing) -> set[str]:
    return {
        client.email.partition("@")[0]
        for client in db.session.scalars(find_recipients(mailing, utcnow()).clients)
    }


def read_saved(session: Session) -> set[tuple[bool, int | None, int | None]]:
    rows = session.scalars(select(MailingAudience).execution_options(populate_existing=True))
    return {(row.is_excluded, row.segment_id, row.tag_id) for row in rows}


def test_a_form_includes_and_excludes_segments_and_tags(
    session: Session, user: User, browser: FlaskClient, app: Flask, town: dict[str, Any]
) -> None:
    tag_client(session, town["tag"], "boris@example.org")
    message = MessageFactory.create(owner=user)
    page = browser.get("/mailings/new").text
    assert f'value="segment:{town["omsk"].id}"' in page
    assert 'value="tag:Wholesale: big"' in page
    values = mailing_fields(message) | {
        "audience": "segments",
        "include": [f"segment:{town['omsk'].id}"],
        "exclude": ["tag:WHOLESALE: big"],
    }
    summary = browser.post("/mailings/preview", data=values).text
    assert "1 client" in summary
    browser.post("/mailings/new", data=values)
    mailing_id = session.scalars(select(Mailing.id)).one()
    assert read_saved(session) == {(False, town["omsk"].id, None), (True, None, town["tag"].id)}
    with app.app_context():
        assert addresses(db.session.get_one(Mailing, mailing_id)) == {"anna"}
    shown = get_main_text(browser.get(f"/mailings/{mailing_id}"))
    assert "Omsk : 1" in shown
    assert "without Wholesale: big" in shown
    edited = browser.get(f"/mailings/{mailing_id}/edit").text
    assert edited.count("checked") >= 3  # the audience, the segment and the tag


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"audience": Audience.SEGMENTS}, "include", "audience_empty"),
        ({"audience": Audience.SEGMENTS, "include": ("segment:0",)}, "include", "mailing_part_unknown"),
        ({"audience": Audience.SEGMENTS, "include": ("tag:nothing",)}, "include", "mailing_part_unknown"),
        ({"audience": Audience.SEGMENTS, "include": ("all",)}, "include", "mailing_part_unnamed"),
        ({"audience": Audience.SEGMENTS, "include": ("broken",)}, "include", "audience_broken"),
        ({"audience": Audience.SEGMENTS, "include": ("other",)}, "include", "mailing_part_unknown"),
        ({"exclude": ("broken",)}, "exclude", "audience_broken"),
        ({"exclude": tuple(f"tag:{n}" for n in range(21))}, "exclude", "mailing_too_many_parts"),
    ],
)
def test_an_audience_that_cannot_be_evaluated_is_rejected_at_its_field(
    app: Flask, session: Session, user: User, town: dict[str, Any], changes: Any, field: str, code: str
) -> None:
    other = Segment(owner_id=UserFactory.create().id, name="Other", conditions=OMSK)
    session.add(other)
    session.flush()
    names = {"broken": f"segment:{town['broken'].id}", "other": f"segment:{other.id}"}
    changes = {
        key: tuple(names.get(name, name) for name in value) if isinstance(value, tuple) else value
        for key, value in changes.items()
    }
    values = MailingValues(
        name="News",
        message_id=MessageFactory.create(owner=user).id,
        ends_at=utcnow() + timedelta(days=1),
        **changes,
    )
    with app.app_context():
        owner = db.session.get_one(User, user.id)
        with pytest.raises(InvalidMailing) as caught:
            services.create_mailing(owner, values, utcnow())
        assert {name: error.code for name, error in caught.value.errors.items()} == {field: code}
        db.session.rollback()


def test_forms_with_different_segments_are_not_duplicates(
    app: Flask, session: Session, user: User, town: dict[str, Any]
) -> None:
    now = utcnow()
    message = MessageFactory.create(owner=user)
    common: dict[str, Any] = {"name": "News", "message_id": message.id, "ends_at": now + timedelta(days=1)}
    omsk = MailingValues(**common, audience=Audience.SEGMENTS, include=(f"segment:{town['omsk'].id}",))
    tagged = MailingValues(**common, audience=Audience.SEGMENTS, include=("tag:Wholesale: big",))
    with app.app_context():
        owner = db.session.get_one(User, user.id)
        services.create_mailing(owner, omsk, now, opened_at=now - timedelta(minutes=1))
        services.create_mailing(owner, tagged, now, opened_at=now - timedelta(minutes=1))
        with pytest.raises(DuplicateSubmission):
            services.create_mailing(owner, omsk, now, opened_at=now - timedelta(minutes=1))
        db.session.rollback()


def test_a_deleted_mailing_is_restored_with_its_segments(
    app: Flask, session: Session, user: User, town: dict[str, Any]
) -> None:
    mailing_id = MailingFactory.create(owner=user, audience=Audience.SEGMENTS).id
    session.add(
        MailingAudience(mailing_id=mailing_id, position=0, is_excluded=False, segment_id=town["omsk"].id)
    )
    session.flush()
    with app.app_context():
        removal = deletion.delete_mailing(db.session.get_one(Mailing, mailing_id), utcnow(), SYSTEM)
        db.session.commit()
        restored = deletion.restore_mailing(user.id, removal.id, utcnow(), SYSTEM)
        assert restored is not None
        assert addresses(restored) == {"anna", "boris"}
        db.session.commit()


@pytest.mark.one_engine
def test_the_form_reads_only_the_names_of_segments(
    user: User, browser: FlaskClient, town: dict[str, Any]
) -> None:
    MessageFactory.create(owner=user)
    with record_statements() as statements:
        assert "Broken" in browser.get("/mailings/new").text
    assert [sql for sql in statements if "segments.conditions" in sql] == []


@pytest.mark.one_engine
def test_a_mailings_page_counts_its_recipients_once(
    session: Session, user: User, browser: FlaskClient, town: dict[str, Any]
) -> None:
    mailing = MailingFactory.create(owner=user, audience=Audience.SEGMENTS)
    session.add(
        MailingAudience(mailing_id=mailing.id, position=0, is_excluded=False, segment_id=town["omsk"].id)
    )
    session.commit()
    with record_statements() as statements:
        page = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "Omsk : 2" in page
    counts = [sql for sql in statements if "count(" in sql and "FROM clients" in sql]
    assert len(counts) == 2  # all, and those who get no emails
    assert sum("FROM mailing_audience" in sql for sql in statements) == 1


def test_a_mailing_with_a_broken_segment_shows_the_error_and_cannot_be_started(
    app: Flask, session: Session, user: User, browser: FlaskClient, town: dict[str, Any]
) -> None:
    mailing = MailingFactory.create(owner=user, audience=Audience.SEGMENTS)
    session.add(
        MailingAudience(mailing_id=mailing.id, position=0, is_excluded=False, segment_id=town["broken"].id)
    )
    session.flush()
    assert "The segment “Broken” does not work" in browser.get(f"/mailings/{mailing.id}").text
    with app.app_context():
        broken = db.session.get_one(Mailing, mailing.id)
        with pytest.raises(MailingError) as caught:
            services.start_now(broken, utcnow(), services.find_obstacle(broken, utcnow()))
        assert caught.value.code == "audience_broken"
        db.session.rollback()


def test_a_form_with_segments_but_no_audience_never_means_all_clients(
    session: Session, user: User, browser: FlaskClient, town: dict[str, Any]
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user))
    del fields["audience"]
    browser.post("/mailings/new", data=fields | {"include": ["tag:a\0b"]})
    assert session.scalars(select(Mailing)).all() == []
    browser.post("/mailings/new", data=fields | {"include": [f"segment:{town['omsk'].id}"]})
    assert session.scalars(select(Mailing.audience)).one() is Audience.SEGMENTS


def test_an_exclusion_that_was_renamed_remains_ticked_beside_its_error(
    user: User, browser: FlaskClient, town: dict[str, Any]
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user)) | {"exclude": ["tag:old name"]}
    form = soup(browser.post("/mailings/new", data=fields))
    assert [box["value"] for box in form.select("[name=exclude][checked]")] == ["tag:old name"]
    assert "old name (not found)" in form.text


def test_all_with_exclusions_is_a_value_that_older_versions_do_not_know(
    session: Session, user: User, browser: FlaskClient, town: dict[str, Any]
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user)) | {"exclude": [f"segment:{town['omsk'].id}"]}
    browser.post("/mailings/new", data=fields)
    mailing = session.scalars(select(Mailing)).one()
    assert mailing.audience is Audience.ALL_EXCEPT
    form = soup(browser.get(f"/mailings/{mailing.id}/edit"))
    assert [box["value"] for box in form.select("[name=audience][checked]")] == ["all"]
