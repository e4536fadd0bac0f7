"""Test the pages of a client's timeline, and how fast they are."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, inspect
from sqlalchemy.orm import Session

from skymailing.clients.timeline import events
from skymailing.clients.timeline.events import Event, list_events
from skymailing.clients.timeline.loading import Letter
from skymailing.extensions import db
from skymailing.models import Client, Delivery, DeliveryState, User
from tests.clients.test_timeline import START, at, client, history, read_events
from tests.clients.timeline_events import SINGLE_EVENTS, History
from tests.support.factories import ClientFactory, MailingFactory, RunFactory
from tests.support.timing import cpu_seconds

__all__ = ["client", "history"]  # fixtures


def identify(event: Event) -> tuple[Any, ...]:
    item = event.item.delivery if isinstance(event.item, Letter) else event.item
    entity = item[0] if isinstance(item, Row) else item
    return event.at, event.kind, inspect(entity).identity


def read_pages(app: Flask, client_id: int) -> list[list[tuple[Any, ...]]]:
    """Return the events of each page, following the links to the next page."""
    pages, cursor = [], None
    with app.app_context():
        client = db.session.get_one(Client, client_id)
        while True:
            page = list_events(client, None, cursor)
            pages.append([identify(event) for event in page])
            if (cursor := page.next_cursor) is None:
                return pages


@settings(max_examples=15)
@given(happened=st.lists(st.tuples(st.sampled_from(SINGLE_EVENTS), st.integers(0, 2)), max_size=12))
def test_pages_have_no_gap_and_no_repetition_even_at_equal_times(
    app: Flask, session: Session, user: User, happened: list[tuple[Any, int]]
) -> None:
    client: Client = ClientFactory.create(owner=user, created_at=START)
    for happen, hours in happened:
        happen(History(session, client), at(hours))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "EVENTS_PER_PAGE", 3)
        pages = read_pages(app, client.id)
    found = [event for page in pages for event in page]
    assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)
    times = [event[0] for event in found]
    assert times == sorted([START, *(at(hours) for _happen, hours in happened)], reverse=True)
    assert len(set(found)) == len(found)


@pytest.mark.one_engine
def test_the_pager_leads_back_and_keeps_the_filter(
    browser: FlaskClient, client: Client, history: History
) -> None:
    for number in range(events.EVENTS_PER_PAGE + 2):
        history.note(at(number), f"note {number}")
    first = browser.get(f"/clients/{client.id}?show=notes")
    link = BeautifulSoup(first.text, "html.parser").select_one("a[rel=next]")
    assert link
    second = browser.get(str(link["href"]))
    texts = [item.text.strip() for item in BeautifulSoup(second.text, "html.parser").select(".event-note")]
    assert texts == ["note 1", "note 0"]
    back = BeautifulSoup(second.text, "html.parser").select_one("a[rel=prev]")
    assert back
    assert "show=notes" in str(back["href"])
    assert browser.get(f"/clients/{client.id}?cursor=nonsense").status_code == 200


def test_a_client_with_thousands_of_events_has_a_fast_page(
    session: Session, browser: FlaskClient, user: User, client: Client
) -> None:
    mailing = MailingFactory.create(owner=user)
    times = [at(number) for number in range(2_000)]
    runs = [RunFactory.build(mailing=mailing, scheduled_for=time, body="x" * 5_000) for time in times]
    rows = [
        {
            "run_id": run.id,
            "client_id": client.id,
            "email": client.email,
            "email_key": client.email_key,
            "state": DeliveryState.SENT,
            "finished_at": run.scheduled_for,
        }
        for run in RunFactory.insert(runs)
    ]
    session.execute(Delivery.__table__.insert(), rows)  # type: ignore[attr-defined]  # a Table
    read_events(browser, client)
    with cpu_seconds(0.4):
        assert len(read_events(browser, client)) == events.EVENTS_PER_PAGE
