"""Test that owners can check the links of their messages, and are warned before a mailing."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.link_checks import services, tasks
from skymailing.models import Layout, LinkCheck, Message, User
from tests.link_checks.conftest import LOOPBACK, Site
from tests.mailings.pages import mailing_fields
from tests.support.factories import MessageFactory

Check = Callable[[], int]


@pytest.fixture
def perform(app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a function that performs the waiting checks, and returns how many there were."""
    monkeypatch.setitem(app.config, "WEBHOOKS_PRIVATE_NETWORKS", LOOPBACK)

    def run() -> int:
        session.commit()
        count = 0
        with app.app_context():
            while tasks.run_next():
                count += 1
        session.expire_all()
        return count

    return run


@pytest.fixture
def message(user: User, site: Site) -> Message:
    links = "".join(f'<a href="{site.url}{path}">x</a>' for path in ("/", "/missing", "/moved"))
    created: Message = MessageFactory.create(
        owner=user, format="html", body=f'{links}<a href="{{{{ unsubscribe_url }}}}">x</a>'
    )
    return created


def test_the_result_belongs_to_the_checked_version(
    browser: FlaskClient, session: Session, message: Message, perform: Check
) -> None:
    page = f"/messages/{message.id}"
    assert browser.post(f"{page}/check-links").location == f"{page}#links"
    assert "Checking 3 links…" in browser.get(page).text
    assert perform() == 1
    shown = browser.get(page).text
    assert "Links that do not open: 1 of 3" in shown
    assert "page not found (404)" in shown
    assert "1 link was not checked" in shown
    summary = browser.post("/mailings/preview", data=mailing_fields(message, step="check")).text
    assert "Links that do not open: 1 of 3" in summary
    assert "Links that do not open: 1 of 3" in browser.get(f"{page}/edit").text

    message.version += 1
    session.commit()
    assert "do not open" not in browser.get(page).text


def test_an_owner_waits_for_the_result_before_the_next_check(
    browser: FlaskClient, session: Session, message: Message, perform: Check, site: Site
) -> None:
    for _ in range(2):
        browser.post(f"/messages/{message.id}/check-links")
    assert "Links are being checked" in browser.get(f"/messages/{message.id}").text
    assert perform() == 1
    for _ in range(services.CHECKS_PER_HOUR):
        browser.post(f"/messages/{message.id}/check-links")
        perform()
    assert "10 times per hour" in browser.get(f"/messages/{message.id}").text
    assert len(session.scalars(select(LinkCheck)).all()) == 1, "a new check replaces the previous one"


def test_links_of_a_changed_layout_are_checked(browser: FlaskClient, session: Session) -> None:
    layout = {"name": "Frame", "source_format": "html", "source": "<body>{{ content }}</body>"}
    browser.post("/messages/layouts/new", data=layout)
    layout_id = session.scalars(select(Layout.id)).one()
    form = {"subject": "News", "format": "markdown", "body": "Hello", "layout": str(layout_id)}
    browser.post("/messages/new", data=form)
    message = session.scalars(select(Message)).one()
    layout["source"] += '<a href="https://new.example.org/">Shop</a>'
    browser.post(f"/messages/layouts/{layout_id}/edit", data=layout)

    browser.post(f"/messages/{message.id}/check-links")

    check = session.scalars(select(LinkCheck)).one()
    assert [link["url"] for link in check.links] == ["https://new.example.org/"]
    assert check.version == message.version


def test_the_typed_text_is_checked_and_updates_itself(
    browser: FlaskClient, session: Session, message: Message, perform: Check, site: Site
) -> None:
    typed = {"format": "text", "body": f"{site.url}/gone", "message_id": message.id, "part": "1"}
    part = browser.post("/messages/check-links", data=typed).text
    found = re.search(r'data-link-check="([^"]+)"', part)
    assert found is not None
    url = found[1].replace("&amp;", "&")
    assert "Checking 1 link…" in browser.get(url).text
    perform()
    part = browser.get(url).text
    assert "Links that do not open: 1 of 1" in part
    assert 'data-link-check=""' in part
    assert session.scalars(select(LinkCheck.version)).one() is None
    assert "do not open" not in browser.get(f"/messages/{message.id}").text


def test_a_letter_without_links_is_not_checked(browser: FlaskClient, session: Session) -> None:
    assert "There are no links to check." in browser.post("/messages/check-links", data={"body": "Hi"}).text
    assert session.scalars(select(LinkCheck)).all() == []


@pytest.mark.both_engines
def test_a_check_of_a_dead_worker_is_performed_again_but_not_forever(
    app: Flask, session: Session, browser: FlaskClient, message: Message, perform: Check
) -> None:
    browser.post(f"/messages/{message.id}/check-links")
    check = session.scalars(select(LinkCheck)).one()
    check.started_at = utcnow()
    assert perform() == 0
    check.started_at = utcnow() - services.STALE - timedelta(seconds=1)
    assert perform() == 1
    check.finished_at, check.requested_at = None, utcnow() - services.GIVEN_UP
    assert perform() == 0


@pytest.mark.both_engines
def test_old_results_are_deleted(app: Flask, session: Session, user: User) -> None:
    for age in (services.RETENTION + timedelta(hours=1), timedelta(days=1)):
        session.add(LinkCheck(owner_id=user.id, links=[], requested_at=utcnow() - age))
    session.commit()
    with app.app_context():
        services.delete_expired(utcnow())
        db.session.commit()
    assert len(session.scalars(select(LinkCheck)).all()) == 1
