"""Test that users see their limits, and that managers see them and can lift those of new accounts."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import AuditAction, AuditEntry, Role, UsageKind, User
from skymailing.quotas import counting
from tests.conftest import SetLimits, SignIn
from tests.mailings.pages import soup
from tests.support.factories import UserFactory, create_clients

# Page texts do not depend on the database.
pytestmark = pytest.mark.one_engine


@pytest.fixture
def newcomer(app: Flask, session: Session) -> User:
    newcomer = UserFactory.create(trusted_at=None)
    with app.app_context():
        counting.add(session.connection(), newcomer.id, UsageKind.LETTERS, 20, utcnow())
    return newcomer


@pytest.fixture(autouse=True)
def limits(set_limits: SetLimits) -> None:
    set_limits(new_account_letters_per_day=20, letters_per_day=1000)


def read_card(browser: FlaskClient, path: str) -> str:
    card = soup(browser.get(path)).find(id="limits")
    assert card is not None
    return " ".join(card.get_text(" ").split())


def test_users_see_their_limits_and_usage(sign_in: SignIn, newcomer: User, user: User) -> None:
    card = read_card(sign_in(newcomer), "/auth/profile")
    assert "Emails in the last 24 hours 20 of 20 limit reached" in card
    assert "Your account is new. Until" in card

    create_clients(user, 3)
    card = read_card(sign_in(user), "/auth/profile")
    assert "Clients 3 of 1,000,000" in card
    assert "Emails this hour 0 Emails in the last 24 hours 0 of 1,000" in card
    assert "new" not in card


def test_a_manager_sees_the_usage_and_lifts_the_limits_of_new_accounts(
    session: Session, sign_in: SignIn, newcomer: User
) -> None:
    manager = UserFactory.create(role=Role.MANAGER)
    panel, page = sign_in(manager), f"/manager/users/{newcomer.id}/"
    assert "Emails in the last 24 hours 20 of 20 limit reached" in read_card(panel, page)
    assert panel.post(f"{page}trust", data={"reason": " "}).status_code == 200
    session.expire_all()
    assert newcomer.trusted_at is None, "a reason is required"

    assert panel.post(f"{page}trust", data={"reason": "A known company"}).status_code == 302
    assert "Emails in the last 24 hours 20 of 1,000" in read_card(panel, page)
    assert b"Lift the limits" not in panel.get(page).data
    session.expire_all()
    entry = session.scalars(select(AuditEntry)).one()
    assert (entry.actor_id, entry.action, entry.target_id, entry.reason) == (
        manager.id,
        AuditAction.USER_TRUSTED,
        newcomer.id,
        "A known company",
    )


def test_a_manager_cannot_lift_their_own_limits(session: Session, sign_in: SignIn) -> None:
    manager = UserFactory.create(role=Role.MANAGER, trusted_at=None)
    response = sign_in(manager).post(f"/manager/users/{manager.id}/trust", data={"reason": "I am me"})

    session.expire_all()
    assert response.status_code == 403
    assert manager.trusted_at is None


@pytest.mark.both_engines
def test_old_counts_are_deleted(app: Flask, session: Session, user: User) -> None:
    """Letter counts, which reputations need, are kept longer."""
    now = utcnow()
    with app.app_context():
        for days in (0, 1, 3, 30, 32):
            day = now - days * 24 * counting.HOUR
            for kind in (UsageKind.LETTERS, UsageKind.IMPORTS):
                counting.add(session.connection(), user.id, kind, 1, day)
        counting.delete_old(now)
        for kind, remaining in ((UsageKind.LETTERS, 4), (UsageKind.IMPORTS, 2)):
            assert len(counting.read_hours(user.id, kind, 1000, now)) == remaining
