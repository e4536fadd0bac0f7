"""Test the overview of the panel, suspicious users, and the filters that lead to them."""

import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    DeliveryState,
    Outcome,
    Reputation,
    Role,
    RunAnswer,
    User,
)
from tests.conftest import SetLimits, SignIn
from tests.manager.scenes import OVERVIEW, section, use
from tests.support.factories import MailingFactory, UserFactory, create_run
from tests.support.statements import record_statements


@pytest.fixture
def panel(sign_in: SignIn) -> FlaskClient:
    """Return a browser in which a manager is signed in."""
    return sign_in(UserFactory.create(role=Role.MANAGER, email="manager@sky.example"))


def old_user(name: str) -> User:
    """Return a user who registered long ago."""
    month_ago = utcnow() - timedelta(days=40)
    return UserFactory.create(
        email=f"{name}@shop.example", created_at=month_ago, confirmed_at=month_ago, trusted_at=None
    )


def new_user(name: str) -> User:
    return UserFactory.create(email=f"{name}@shop.example", trusted_at=None)


def names(page: str) -> list[str]:
    return re.findall(r">(\w+)@(?:<wbr>)?shop\.example", page)


def list_users(panel: FlaskClient, query: str) -> set[str]:
    page = panel.get(f"/manager/users/?{query}")
    assert page.status_code == 200
    return set(names(page.text))


@pytest.fixture
def suspects(app: Flask, session: Session, set_limits: SetLimits) -> dict[str, User]:
    """Return users of whom each but the first and the last has a reason of its own."""
    set_limits(new_account_letters_per_day=400, test_letters_per_hour=10)
    users = {
        name: old_user(name) for name in ("good", "dead", "hated", "asking", "testing", "paused", "blocked")
    } | {"busy": new_user("busy")}
    users["blocked"].blocked_at = utcnow()
    session.add(Reputation(owner_id=users["paused"].id, paused_at=utcnow()))
    session.commit()
    use(app, users["good"], days_ago=2, letters=10_000, accepted=9_900, bounces=20, complaints=2)
    use(app, users["dead"], days_ago=2, letters=400, accepted=380, bounces=20)
    use(app, users["hated"], days_ago=2, letters=1000, accepted=300, complaints=4)
    use(app, users["busy"], letters=500, accepted=500)
    use(app, users["asking"], days_ago=1, reviewer_letters=3, sender_letters=2)
    use(app, users["testing"], test_letters=10)
    use(app, users["blocked"], letters=1000, bounces=500)
    return users


def test_every_reason_leads_to_its_users(panel: FlaskClient, suspects: dict[str, User]) -> None:
    expected = {
        "paused": {"paused"},
        "complaints": {"hated"},
        "bounces": {"dead"},
        "new": {"busy"},
        "questions": {"asking"},
        "limit": {"busy", "testing"},
        "yes": set(suspects) - {"good", "blocked"},
    }
    for reason, found in expected.items():
        assert list_users(panel, f"suspicious={reason}") == found, reason
    assert "Suspicious:" in panel.get(f"/manager/users/{suspects['dead'].id}/").text
    assert "Suspicious:" not in panel.get(f"/manager/users/{suspects['good'].id}/").text


def test_the_overview_lists_the_worst_first(panel: FlaskClient, suspects: dict[str, User]) -> None:
    page = panel.get(OVERVIEW).text
    suspicious = section(page, "Suspicious users")
    assert set(names(suspicious)) == set(suspects) - {"good", "blocked"}
    assert names(suspicious)[:3] == ["paused", "hated", "dead"]
    assert 'href="/manager/users/?suspicious=complaints"' in suspicious
    assert 'Suspicious users<span class="count">6</span>' in page
    largest = section(page, "Users who send the most")
    assert names(largest) == ["good", "busy", "dead", "hated"]
    (address,) = re.findall(r'href="(/manager/reputation/[^"]+)"', largest)
    assert names(panel.get(address).text) == [*names(largest), "blocked"], "the list continues in this order"


def test_users_are_filtered_by_their_share_of_dead_addresses(
    app: Flask, session: Session, panel: FlaskClient
) -> None:
    users = {name: old_user(name) for name in ("none", "some", "most", "tiny")}
    session.commit()
    use(app, users["none"], letters=1000)
    use(app, users["some"], letters=1000, bounces=30)
    use(app, users["most"], letters=1000, bounces=60)
    use(app, users["tiny"], letters=5, bounces=5)
    use(app, users["none"], days_ago=31, letters=10, bounces=900)
    assert list_users(panel, "bounces=1") == {"some", "most"}
    assert list_users(panel, "bounces=5") == {"most"}
    assert list_users(panel, "bounces=5&suspicious=bounces") == {"most"}
    assert list_users(panel, "bounces=5&q=some") == set()
    assert list_users(panel, "bounces=77&suspicious=mood") == set(users), "unknown choices are ignored"


def test_new_users_are_one_click_away(session: Session, panel: FlaskClient) -> None:
    old_user("old"), new_user("fresh")
    session.commit()
    (query,) = re.findall(r'href="/manager/users/\?(since=[^"]+)"', panel.get("/manager/users/").text)
    assert list_users(panel, query) == {"fresh"}
    page = panel.get(f"/manager/users/?{query}").text
    assert f'<a href="/manager/users/?{query}" aria-current="page">New users' in page


def test_mailings_with_refused_emails_are_one_click_away(session: Session, panel: FlaskClient) -> None:
    refused, deferred = MailingFactory.create(name="Refused"), MailingFactory.create(name="Deferred")
    for mailing, outcome in ((refused, Outcome.FAILED), (deferred, Outcome.DEFERRED)):
        run = create_run(mailing, {DeliveryState.SENT: 1})
        session.add(
            RunAnswer(
                run_id=run.id,
                begins_at=run.started_at,
                fingerprint="x",
                mailing_id=mailing.id,
                owner_id=mailing.owner_id,
                outcome=outcome,
                code=550,
                words="no",
            )
        )
    session.commit()
    for query, found in (("refused=yes", {"Refused"}), ("refused=no", {"Deferred"})):
        page = panel.get(f"/manager/mailings/?{query}").text
        assert {name for name in ("Refused", "Deferred") if f">{name}</a>" in page} == found


@pytest.mark.one_engine
def test_the_last_week_in_the_readers_time_zone(app: Flask, session: Session, sign_in: SignIn) -> None:
    reader = UserFactory.create(role=Role.MANAGER, timezone="Asia/Vladivostok")
    session.commit()
    for days_ago, letters in ((0, 7), (3, 50), (9, 1000)):
        use(app, reader, days_ago=days_ago, letters=letters + 1, accepted=letters, bounces=letters)
    page = sign_in(reader).get(OVERVIEW).text
    rows = page.split("Emails of the last week")[1].split("<tr>")[2:9]
    counts = [re.findall(r'class="number">([\d,]+)', row)[:2] for row in rows]
    assert counts == [[number] * 2 for number in ("7", "0", "0", "50", "0", "0", "0")]
    # The table of the users who send the most has the last 24 hours and 30 days.
    largest = BeautifulSoup(page, "html.parser").select_one(".usage tbody")
    assert largest is not None
    assert [cell.text for cell in largest.select("[data-label^=Accepted]")] == ["7", "1,057"]
    numbers = BeautifulSoup(sign_in(reader).get(f"/manager/users/{reader.id}/").text, "html.parser")
    assert [cell.text for cell in numbers.select(".panel-numbers .count")[:2]] == ["7", "1,057"]


@pytest.mark.one_engine
def test_the_overview_needs_the_same_few_statements_for_many_users(
    app: Flask, session: Session, panel: FlaskClient
) -> None:
    def measure() -> int:
        with record_statements() as statements:
            panel.get(OVERVIEW)
        return len(statements)

    use(app, new_user("first"), letters=500)
    few = measure()
    for number in range(6):
        use(app, new_user(f"user{number}"), letters=500 + number)
    assert measure() == few
