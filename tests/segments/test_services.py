"""Test saving, copying, deleting and restoring segments."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.audience.conditions import read_conditions
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    AuditAction,
    AuditEntry,
    Mailing,
    MailingAudience,
    MailingState,
    Periodicity,
    RunState,
    Segment,
    User,
)
from skymailing.segments import services
from tests.conftest import SetLimits
from tests.segments.pages import NOT_WHOLESALE, OMSK, save
from tests.support.factories import MailingFactory, RunFactory

NODE = read_conditions(OMSK, {})


@pytest.fixture
def segment(session: Session, user: User) -> Segment:
    segment = Segment(owner_id=user.id, name="Omsk", conditions=OMSK)
    session.add(segment)
    session.flush()
    return segment


@pytest.fixture
def context(app: Flask, session: Session) -> Iterator[None]:
    with app.app_context():
        yield


def use(session: Session, owner: User, segment: Segment, state: MailingState) -> Mailing:
    """Make a mailing to all clients exclude a segment."""
    mailing: Mailing = MailingFactory.create(owner=owner, state=state, audience=Audience.ALL)
    if state is MailingState.FINISHED:
        RunFactory.create(mailing=mailing, state=RunState.FINISHED)
    session.add(MailingAudience(mailing_id=mailing.id, position=3, is_excluded=True, segment_id=segment.id))
    session.flush()
    return mailing


def find_undo_url(page: str) -> str:
    (form,) = BeautifulSoup(page, "html.parser").select(".flash form")
    return str(form["action"])


@pytest.mark.one_engine
def test_a_change_in_another_window_is_not_overwritten(
    browser: FlaskClient, session: Session, user: User, shop: object, segment: Segment
) -> None:
    path = f"/segments/{segment.id}/edit"
    mine = {"name": "Mine", "conditions": '{"field": "tag", "op": "is", "value": "wholesale"}'}
    assert browser.post(path, data={**mine, "name": "Other", "version": "1"}).status_code == 302

    conflict = browser.post(path, data={**mine, "version": "1"})

    assert conflict.status_code == 409
    assert "this segment was changed in another window" in conflict.text
    form = BeautifulSoup(conflict.text, "html.parser").select_one("#segment-form")
    assert form is not None
    fields = {name: form.select_one(f"[name={name}]") for name in ("name", "version")}
    assert [field["value"] for field in fields.values() if field] == ["Mine", "2"]
    session.refresh(segment)
    assert segment.name == "Other"
    # Saving again replaces it.
    assert browser.post(path, data={**mine, "version": "2"}).status_code == 302
    session.refresh(segment)
    assert (segment.name, segment.version) == ("Mine", 3)


def test_copies_have_their_own_names(context: None, session: Session, user: User) -> None:
    original = Segment(owner_id=user.id)
    services.save_segment(original, "x" * 200, NODE, None)
    copies = [services.duplicate_segment(original) for _ in range(2)]

    assert [copy.name for copy in copies] == ["x" * 196 + " (2)", "x" * 196 + " (3)"]
    assert {copy.owner_id for copy in copies} == {user.id}
    assert copies[1].conditions == OMSK
    db.session.rollback()


@pytest.mark.one_engine
def test_the_number_of_segments_is_limited_copies_included(
    browser: FlaskClient, session: Session, user: User, segment: Segment, set_limits: SetLimits
) -> None:
    set_limits(segments=2)
    assert browser.post(f"/segments/{segment.id}/duplicate").status_code == 302
    page = browser.post(f"/segments/{segment.id}/duplicate", follow_redirects=True)
    assert "You can have up to 2 segments." in page.text
    condition = {"field": "full_name", "op": "is_set"}
    page = save(browser, condition, "Named")
    assert "You can have up to 2 segments." in page.text
    assert "Named" in page.text, "what was typed is kept"
    assert len(session.scalars(select(Segment)).all()) == 2

    # Existing segments can still be edited, and a deleted one is restored only if there is room.
    assert save(browser, condition, "Named", f"/segments/{segment.id}/edit").status_code == 302
    url = find_undo_url(browser.post(f"/segments/{segment.id}/delete", follow_redirects=True).text)
    save(browser, condition)
    assert "You can have up to 2 segments." in browser.post(url, follow_redirects=True).text
    set_limits(segments=3)
    assert "Segment restored." in browser.post(url, follow_redirects=True).text


@pytest.mark.one_engine
def test_a_deleted_segment_can_be_restored_within_an_hour(
    browser: FlaskClient, session: Session, user: User, segment: Segment
) -> None:
    ended = use(session, user, segment, MailingState.FINISHED)
    reopened = use(session, user, segment, MailingState.CANCELLED)
    assert "Its clients are kept." in browser.get(f"/segments/{segment.id}/delete").text
    url = find_undo_url(browser.post(f"/segments/{segment.id}/delete", follow_redirects=True).text)
    assert session.scalars(select(Segment.id)).all() == []
    assert session.scalars(select(MailingAudience.mailing_id)).all() == []
    session.delete(reopened)
    session.flush()

    page = browser.post(url, follow_redirects=True)

    assert "Segment restored." in page.text
    assert browser.post(url).status_code == 404
    restored = session.scalars(select(Segment)).one()
    assert (restored.name, restored.conditions) == ("Omsk", OMSK)
    (row,) = session.scalars(select(MailingAudience))
    assert (row.mailing_id, row.position, row.is_excluded, row.segment_id) == (ended.id, 0, True, restored.id)
    actions = session.execute(select(AuditEntry.action, AuditEntry.target).order_by(AuditEntry.id)).all()
    assert [tuple(row) for row in actions] == [
        (AuditAction.SEGMENT_DELETED, "Omsk"),
        (AuditAction.SEGMENT_RESTORED, "Omsk"),
    ]

    url = find_undo_url(browser.post(f"/segments/{restored.id}/delete", follow_redirects=True).text)
    with time_machine.travel(utcnow() + timedelta(hours=1, minutes=1)):
        assert browser.post(url).status_code == 404


def test_a_segment_that_an_unfinished_mailing_uses_is_kept(
    browser: FlaskClient, session: Session, user: User, segment: Segment
) -> None:
    finished = use(session, user, segment, MailingState.FINISHED)
    paused = use(session, user, segment, MailingState.PAUSED)

    for page in (
        browser.get(f"/segments/{segment.id}/delete"),
        browser.post(f"/segments/{segment.id}/delete"),
    ):
        assert f"so it cannot be deleted: “{paused.name}”." in page.text
    assert page.status_code == 409
    assert session.scalar(select(Segment.name)) == "Omsk"
    assert len(session.scalars(select(MailingAudience)).all()) == 2, finished.name


def test_a_segment_that_an_extended_mailing_would_miss_is_kept(
    browser: FlaskClient, session: Session, user: User, segment: Segment
) -> None:
    missed = MailingFactory.create(owner=user, state=MailingState.FINISHED, name="never ran")
    weekly = MailingFactory.create(
        owner=user, state=MailingState.FINISHED, name="weekly", periodicity=Periodicity.WEEKLY
    )
    for mailing in (missed, weekly):
        session.add(
            MailingAudience(mailing_id=mailing.id, position=0, is_excluded=True, segment_id=segment.id)
        )
    session.flush()
    page = browser.post(f"/segments/{segment.id}/delete")
    assert "so it cannot be deleted: “weekly”, “never ran”." in page.text


@pytest.mark.one_engine
def test_conditions_are_saved_in_a_storable_form(
    browser: FlaskClient, session: Session, shop: object
) -> None:
    conditions = {
        "all": [
            {"field": "full_name", "op": "equals", "value": "An\x00na\ud800"},
            {"field": "attribute.orders", "op": "is_set", "value": {"ignored": True}},
            NOT_WHOLESALE,
        ]
    }
    assert save(browser, conditions).status_code == 302
    stored = session.scalars(select(Segment.conditions)).one()
    assert stored["all"][:2] == [
        {"field": "full_name", "op": "equals", "value": "Anna"},
        {"field": "attribute.orders", "op": "is_set"},
    ]


def test_members_are_found_on_both_databases(
    browser: FlaskClient, session: Session, user: User, shop: object
) -> None:
    segments = [Segment(owner_id=user.id, name=name, conditions=OMSK) for name in ("omsk", "ОМСК", "Аня")]
    session.add_all(segments)
    session.flush()

    page = BeautifulSoup(browser.get("/segments/").text, "html.parser")
    names = [link.text for link in page.select(".segment-name a")]
    assert names == ["omsk", "Аня", "ОМСК"]
    assert [cell.text for cell in page.select("td.number")] == ["2", "2", "2"]
    shown = browser.get(f"/segments/{segments[0].id}").text
    assert "2 of 4 clients" in shown
    assert "1 of them gets no mailings" in shown
    assert browser.get("/segments/values?field=attribute.orders").json == ["0", "1", "3", "7"]
