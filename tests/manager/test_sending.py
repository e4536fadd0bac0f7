"""Test the panel's lists of reputations, senders and unclear returned letters."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Reputation, Role, Sender, UsageKind, User
from skymailing.quotas import counting
from tests.conftest import SignIn
from tests.mailings.pages import soup
from tests.returns.letters import make_status
from tests.returns.scenes import Desk
from tests.support.factories import UserFactory


@pytest.fixture
def panel(sign_in: SignIn) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(UserFactory.create(role=Role.MANAGER, email="manager@sky.example"))


def list_users(panel: FlaskClient, query: str = "") -> list[str]:
    """Return the names in the addresses of the listed users, in order."""
    page = panel.get(f"/manager/reputation/?{query}")
    assert page.status_code == 200
    return re.findall(r">(\w+)@(?:<wbr>)?shop\.example", page.text)


def test_the_worst_senders_come_first(app: Flask, session: Session, panel: FlaskClient) -> None:
    numbers = {
        "good": (5000, 10, 1, 900),
        "bouncing": (1000, 60, 0, 940),
        "hated": (1000, 0, 5, 0),
        "tiny": (10, 9, 9, 1),
        "silent": (0, 0, 0, 0),
    }
    users = {name: UserFactory.create(email=f"{name}@shop.example") for name in numbers}
    session.add(Reputation(owner_id=users["hated"].id, paused_at=utcnow()))
    session.commit()
    kinds = (UsageKind.LETTERS, UsageKind.BOUNCES, UsageKind.COMPLAINTS, UsageKind.ACCEPTED)
    with app.app_context(), db.engine.begin() as connection:
        for name, counts in numbers.items():
            for kind, count in zip(kinds, counts, strict=True):
                counting.add(connection, users[name].id, kind, count, utcnow())

    assert list_users(panel) == ["hated", "good", "tiny", "bouncing"]
    assert list_users(panel, "order=bounces") == ["bouncing", "good", "tiny", "hated"]
    assert list_users(panel, "order=letters") == ["good", "hated", "bouncing", "tiny"]
    assert list_users(panel, "order=accepted") == ["bouncing", "good", "tiny", "hated"]
    assert list_users(panel, "paused=yes") == ["hated"]
    assert list_users(panel, "q=bounc") == ["bouncing"]
    assert list_users(panel, "order=nonsense&cursor=nonsense") == list_users(panel)
    assert "0.5%" in panel.get("/manager/reputation/?q=hated").text
    page = soup(panel.get("/manager/reputation/?q=bouncing&order=accepted"))
    titles = [header.get_text() for header in page.select("th")]
    chosen = [option.get_text() for option in page.select("[name=order] option[selected]")]
    assert chosen == ["Accepted"]
    assert set(chosen) < set(titles), "the list is sorted by one of its columns"
    assert [cell.get_text() for cell in page.select("td.number")] == ["1,000", "940", "60 6%", "0 0%"]


def test_returned_letters_of_no_user_are_shown_as_text(
    app: Flask, session: Session, user: User, panel: FlaskClient
) -> None:
    desk = Desk(app, session, user)
    assert "No unrecognized emails" in panel.get("/manager/returned/").text
    desk.ingest(b"From: ann@example.org\n\nCall me <script>\xff" + b"x" * 9000)
    desk.ingest(make_status(desk.send().email, "5.1.1", "user unknown"))

    page = panel.get("/manager/returned/").text
    assert "Call me &lt;script&gt;\ufffd" in page
    assert page.count('<details class="card"') == 1, "an owner decides about the other one"
    assert page.count("x" * 1000) < 5


@pytest.mark.one_engine
def test_managers_see_all_senders(session: Session, user: User, panel: FlaskClient) -> None:
    for name, confirmed_at in (("news", utcnow()), ("shop", None)):
        address = f"{name}@shop.example"
        session.add(
            Sender(
                owner_id=user.id, name=name, address=address, address_key=address, confirmed_at=confirmed_at
            )
        )
    session.commit()

    page = panel.get("/manager/senders/").text
    assert page.count(user.email) == 2
    assert page.count(">waiting for confirmation") == 2, "in the filter and in the list"
    for query, has_news, has_shop in (("confirmed=yes", True, False), ("q=SHOP@", False, True)):
        page = panel.get(f"/manager/senders/?{query}").text
        assert ("news@" in page, "shop@" in page) == (has_news, has_shop)
