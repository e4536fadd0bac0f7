"""Test how an owner follows an A/B test in a browser, from two windows at once."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.clock import utcnow
from skymailing.models import Mailing, MailingState, MailingVariant, Run, User, WinnerBy
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import PHONE
from tests.support.factories import MessageFactory, create_clients, due_mailing

CLIENTS = 24


@pytest.fixture
def owner(site: Site) -> User:
    return site.add_user(name="Tea Shop", locale="en")


def start_test(site: Site, owner: User) -> int:
    """Start a mailing whose owner chooses the winner; return its ID."""
    with site.open_session() as session:
        user = session.get_one(User, owner.id)
        create_clients(user, CLIENTS)
        message = MessageFactory.create(owner=user, subject="Spring teas")
        test = {"sample_percent": 50, "winner_by": WinnerBy.OWNER, "track_clicks": True}
        mailing = due_mailing(user, message=message, ends_at=utcnow() + timedelta(days=1), **test)
        session.add(MailingVariant(mailing_id=mailing.id, number=2, subject="Three recipes"))
        return mailing.id


def is_sample_sent(site: Site, mailing_id: int) -> bool:
    with site.open_session() as session:
        run = session.scalar(select(Run).where(Run.mailing_id == mailing_id))
        return (
            run is not None
            and bool(run.is_testing)
            and session.get_one(Mailing, mailing_id).state is MailingState.RUNNING
        )


def test_the_page_follows_a_choice_in_another_window_and_keeps_details_open(
    site: Site, open_window: OpenWindow, owner: User
) -> None:
    mailing_id = start_test(site, owner)
    watching, choosing = open_window(), open_window(PHONE)
    for window in (watching, choosing):
        window.sign_in(owner.email)
    watching.wait_until(lambda: is_sample_sent(site, mailing_id), "the sample is being sent")
    for window in (watching, choosing):
        window.open(f"/mailings/{mailing_id}")
    test = watching.main.locator("#test")
    expect(test).to_contain_text("clients are waiting. Choose which variant they get, by")
    watching.main.locator("#all-numbers summary").click()
    choosing.main.get_by_role("button", name="Send B to the rest now").click()
    choosing.expect_notice("The other clients get variant B.")
    expect(test).to_contain_text("You chose variant B.")
    expect(test.get_by_role("button")).to_have_count(0)
    expect(watching.main.locator("#all-numbers")).to_have_attribute("open", "")
    expect(watching.main.locator(".outcome .headline-number").first).to_have_text(str(CLIENTS))
    expect(watching.main.locator(".run-headline")).to_have_count(0)
