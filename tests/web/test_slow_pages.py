"""Test that pages with slow statements show a message instead of failing or making visitors wait."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.search import finding
from skymailing.db import time_limit
from skymailing.models import Audience, Client, Mailing, MailingAudience, MailingState, Segment, User
from tests.mailings.pages import mailing_fields
from tests.segments.pages import preview
from tests.support.factories import MailingFactory, MessageFactory, create_clients

HAS_NAME = {"field": "full_name", "op": "is_set"}
COUNT_TOO_SLOW = "Counting these clients takes too long. You can still send to them."


@pytest.fixture
def segment_and_mailing(session: Session, user: User) -> tuple[Segment, Mailing]:
    """Return a segment, and a mailing to it."""
    create_clients(user, 3)
    segment = Segment(owner_id=user.id, name="Named", conditions=HAS_NAME)
    mailing = MailingFactory.create(owner=user, audience=Audience.SEGMENTS)
    session.add(segment)
    session.flush()
    session.add(MailingAudience(mailing_id=mailing.id, position=0, is_excluded=False, segment_id=segment.id))
    session.commit()
    return segment, mailing


def test_pages_show_a_message_when_their_statements_take_too_long(
    browser: FlaskClient,
    user: User,
    session: Session,
    segment_and_mailing: tuple[Segment, Mailing],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segment, mailing = segment_and_mailing
    message = MessageFactory.create(owner=user)
    values: dict[str, Any] = mailing_fields(message) | {
        "audience": "segments",
        "include": [f"segment:{segment.id}"],
    }
    session.commit()
    mailing_id = mailing.id
    monkeypatch.setattr(time_limit, "MAX_SECONDS", 0.0)

    clients = browser.get(f"/clients/?segment={segment.id}").text
    assert "The search was stopped" in clients
    assert "This took too long." in clients
    assert "client-count" not in clients
    client_id = session.scalars(select(Client.id)).first()
    assert "This took too long." in browser.get(f"/clients/{client_id}/merge?q=x").text
    assert COUNT_TOO_SLOW in browser.get(f"/segments/{segment.id}").text
    assert COUNT_TOO_SLOW in preview(browser, HAS_NAME).text
    page = browser.get(f"/mailings/{mailing_id}").text
    assert COUNT_TOO_SLOW in page
    assert "Upcoming sends" in page
    assert COUNT_TOO_SLOW in browser.post("/mailings/preview", data=values).text
    assert COUNT_TOO_SLOW in browser.get(f"/mailings/{mailing_id}/edit").text

    saved = browser.post("/mailings/new", data=values, follow_redirects=True).text
    assert "The mailing is set up." in saved
    browser.post(f"/mailings/{mailing_id}/start")
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at is not None) == (MailingState.SCHEDULED, True)


@pytest.mark.one_engine
def test_a_list_that_takes_too_long_to_count_is_shown(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_clients(user, 51)

    def stop(*_arguments: object) -> None:
        raise time_limit.TookTooLong

    monkeypatch.setattr(finding.Search, "count", stop)

    page = browser.get("/clients/?q=example").text
    assert "50+ found" in page
    assert "All matches, including those on other pages (50+)" in " ".join(page.split())


@pytest.mark.one_engine
def test_the_list_of_clients_without_a_filter_is_not_stopped(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_clients(user, 3)
    monkeypatch.setattr(time_limit, "MAX_SECONDS", 0.0)
    assert "3 clients" in browser.get("/clients/").text
