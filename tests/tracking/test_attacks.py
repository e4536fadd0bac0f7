"""Test attacks through the links in letters, and through what the owner sees of them."""

import csv
import io
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.caching.invalidation import shared_cache
from skymailing.clock import utcnow
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.delivery.rendering.tracked_links import LinkedPage, to_location
from skymailing.delivery.run_links import number_links
from skymailing.models import Click, Delivery, DeliveryState, Engagement, Run, RunLink, User
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.targets import forget_targets
from tests.support.factories import MailingFactory, create_run
from tests.support.servers import RedisServer

pytestmark = pytest.mark.one_engine
AGENT = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"}
TARGET = "https://shop.example/"


@pytest.fixture(autouse=True)
def _forget() -> None:
    forget_targets()


class Link:
    """A link in the only letter of a run."""

    def __init__(self, app: Flask, session: Session, owner: User) -> None:
        self.app, self.session = app, session
        mailing = MailingFactory.create(owner=owner)
        self.run = create_run(mailing, {DeliveryState.SENT: 2}, track_clicks=True)
        session.add(RunLink(run_id=self.run.id, number=1, url=TARGET))
        session.flush()
        ids = select(Delivery.id).where(Delivery.run_id == self.run.id).order_by(Delivery.id)
        self.letter, self.other_letter = session.scalars(ids)
        with app.app_context():
            self.token = ClickSigner(self.run.id, self.run.uuid).make_token(self.letter)
        self.path = f"/c/{self.token}/1"

    def read_clicks(self) -> dict[int, int]:
        """Fold, and return the clicks of people by letter."""
        with self.app.app_context():
            fold_hits(utcnow())
        self.session.expire_all()
        rows = self.session.scalars(select(Engagement).where(Engagement.clicks > 0))
        return {row.delivery_id: row.clicks for row in rows}


@pytest.fixture
def link(app: Flask, session: Session, user: User) -> Link:
    return Link(app, session, user)


def test_forged_tokens_lead_nowhere_and_count_nothing(app: Flask, link: Link, visitor: FlaskClient) -> None:
    forged = [link.token[:place] + flip(link.token[place]) + link.token[place + 1 :] for place in range(28)]
    for token in (*forged, link.token[:-1], link.token + "A", link.token.swapcase()):
        response = visitor.get(f"/c/{token}/1", headers=AGENT)
        assert response.status_code == 404, token
        assert "Location" not in response.headers
        assert visitor.get(f"/o/{token}.gif", headers=AGENT).status_code == 200
    assert link.read_clicks() == {}


def flip(letter: str) -> str:
    return "B" if letter != "B" else "C"


def test_a_reused_token_is_one_person(link: Link, visitor: FlaskClient) -> None:
    for minute in range(5):  # the letter was forwarded, or its link published
        with time_machine.travel(utcnow() + timedelta(minutes=minute), tick=False):
            assert visitor.get(link.path, headers=AGENT).status_code == 302
    assert link.read_clicks() == {link.letter: 5}
    link.session.refresh(link.run)
    assert link.run.clicked == 1


def test_a_token_does_not_open_another_runs_links(
    app: Flask, session: Session, user: User, link: Link, visitor: FlaskClient
) -> None:
    other = Link(app, session, user)
    with app.app_context():
        token = ClickSigner(link.run.id, other.run.uuid).make_token(link.letter)
    assert visitor.get(f"/c/{token}/1", headers=AGENT).status_code == 404
    assert link.read_clicks() == {}


@pytest.mark.parametrize(
    "query",
    ["url=https://evil.example/", "next=//evil.example", "to=javascript:alert(1)", "1=https://evil.example"],
)
def test_the_request_does_not_change_the_target(link: Link, visitor: FlaskClient, query: str) -> None:
    for _from in ("the database", "memory"):
        response = visitor.get(f"{link.path}?{query}", headers=AGENT | {"Referer": query})
        assert (response.status_code, response.headers["Location"]) == (302, TARGET)
    for suffix in ("/https://evil.example", "//evil.example", "%2f%2fevil.example", "@evil.example"):
        assert visitor.get(link.path + suffix, headers=AGENT).status_code == 404


def test_a_message_that_is_edited_after_sending_changes_no_link(
    app: Flask, session: Session, link: Link, visitor: FlaskClient
) -> None:
    message = link.run.mailing.message
    message.body = '<a href="https://evil.example/">Sale</a>'
    session.flush()
    with app.app_context():  # a worker compiles the edited text for another attempt
        assert number_links(link.run.id, LinkedPage(message.body).links) == [2]
    assert visitor.get(link.path, headers=AGENT).headers["Location"] == TARGET


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)//https://shop.example/",
        " javascript:alert(1)",
        "&#106;avascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:msgbox",
        "file:///etc/passwd",
        "//shop.example/",
        "/settings",
        "https:shop.example",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://",
    ],
)
def test_only_links_to_the_web_are_stored(url: str) -> None:
    assert LinkedPage(f'<a href="{url}">Go</a>').links == []


@pytest.mark.parametrize("url", ["https://shop.example/\r\nSet-Cookie: a=b", "https://shop.example/\x00"])
def test_a_stored_target_cannot_add_headers(
    app: Flask, session: Session, link: Link, visitor: FlaskClient, url: str
) -> None:
    """The database may have been restored from someone else's backup."""
    session.get_one(RunLink, (link.run.id, 1)).url = url.replace("\x00", "%00")
    session.flush()
    response = visitor.get(link.path, headers=AGENT)
    assert "Set-Cookie" not in response.headers
    assert "\n" not in response.headers.get("Location", "")
    assert "\n" not in (to_location("https://shop.example/ж\r\n") or "")


def test_links_work_while_redis_is_unavailable(
    app: Flask, link: Link, visitor: FlaskClient, redis_server: RedisServer
) -> None:
    visitor.get(link.path, headers=AGENT)
    redis_server.stop()
    try:
        for _click in range(2):
            response = visitor.get(link.path, headers=AGENT)
            assert (response.status_code, response.headers["Location"]) == (302, TARGET)
        with app.app_context():
            fold_hits(utcnow())  # changes nothing, and raises nothing
    finally:
        redis_server.start()
        with app.app_context():
            assert shared_cache().run(lambda redis: redis.ping(), is_urgent=True)


def test_a_token_of_a_deleted_run_leads_nowhere_and_counts_nothing(
    app: Flask, session: Session, link: Link, visitor: FlaskClient
) -> None:
    visitor.get(link.path, headers=AGENT)  # noted, and folded only after the deletion
    session.delete(session.get_one(Run, link.run.id))
    session.flush()
    forget_targets()
    assert visitor.get(link.path, headers=AGENT).status_code == 404
    assert link.read_clicks() == {}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_a_spreadsheet_runs_no_formula_from_the_csv_file(
    session: Session, link: Link, visitor: FlaskClient, browser: FlaskClient, start: str
) -> None:
    stored = session.get_one(RunLink, (link.run.id, 1))
    stored.label = stored.url = f"{start}HYPERLINK(1)"
    letter = session.get_one(Delivery, link.letter)
    letter.email = f"{start}cmd|'x'@example.org"
    session.add(Engagement(delivery_id=link.letter, run_id=link.run.id, mailing_id=link.run.mailing_id))
    session.flush()
    add_click(session, link)
    text = browser.get(f"/mailings/runs/{link.run.id}/clicks.csv").text
    _header, row = csv.reader(io.StringIO(text.lstrip("\ufeff")))
    for cell in row:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell


def add_click(session: Session, link: Link) -> None:
    now = int(utcnow().timestamp() * 1000)
    session.add(
        Click(delivery_id=link.letter, number=1, run_id=link.run.id, first_at=now, last_at=now, clicks=1)
    )
    session.flush()
