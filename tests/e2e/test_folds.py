"""Test in a browser what phones fold: cards of little use, the ends of lists, and rarely used buttons."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.clock import utcnow
from skymailing.models import Delivery, DeliveryState, MailingState, Periodicity, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, Screen, Window
from tests.support.factories import AttemptFactory, MailingFactory, create_run


@pytest.fixture
def mailing_id(site: Site, owner: User) -> int:
    """Create a weekly mailing that was sent once."""
    with site.open_session() as session:
        mailing = MailingFactory.create(
            owner=session.get_one(User, owner.id),
            state=MailingState.SCHEDULED,
            periodicity=Periodicity.WEEKLY,
            next_run_at=utcnow() + timedelta(days=1),
            ends_at=utcnow() + timedelta(days=90),
        )
        run = create_run(mailing, {DeliveryState.SENT: 6, DeliveryState.FAILED: 1})
        for delivery in session.scalars(select(Delivery).where(Delivery.run_id == run.id)):
            AttemptFactory.create(delivery=delivery)
        return mailing.id


def open_mailing(open_window: OpenWindow, owner: User, path: str, screen: Screen, *, script: bool) -> Window:
    window = open_window(screen, javascript=script)
    window.sign_in(owner.email)
    window.open(path)
    return window


@pytest.mark.parametrize("script", [True, False])
def test_phones_fold_cards_that_wide_screens_show(
    open_window: OpenWindow, owner: User, mailing_id: int, *, script: bool
) -> None:
    path = f"/mailings/{mailing_id}"
    phone = open_mailing(open_window, owner, path, PHONE, script=script)
    facts = phone.main.locator("dl.facts", has_text="How often")
    expect(facts).to_be_hidden()
    title = phone.main.locator("summary", has_text="Who, what and when")
    title.focus()
    phone.page.keyboard.press("Enter")
    expect(facts).to_be_visible()
    phone.expect_to_fit()

    wide = open_mailing(open_window, owner, path, DESKTOP, script=script)
    expect(wide.main.locator("dl.facts", has_text="How often")).to_be_visible()
    expect(wide.main.get_by_role("heading", name="Who, what and when")).to_be_visible()
    expect(wide.main.locator("summary", has_text="Who, what and when")).to_be_hidden()


@pytest.mark.parametrize("script", [True, False])
def test_a_list_shows_its_end_on_demand_and_in_print(
    open_window: OpenWindow, owner: User, site: Site, *, script: bool
) -> None:
    with site.open_session() as session:
        for days in range(9):
            mailing = MailingFactory.create(owner=session.get_one(User, owner.id))
            create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=utcnow() - timedelta(days=days))
    window = open_mailing(open_window, owner, "/reports/", PHONE, script=script)
    rows = window.main.locator("#mailings tbody tr").filter(visible=True)
    expect(rows).to_have_count(7)
    toggle = window.main.locator(".has-later:has(#mailings) + .show-all > summary")
    toggle.focus()
    window.page.keyboard.press("Enter")
    expect(rows).to_have_count(9)
    expect(toggle).to_have_text("Show fewer", use_inner_text=True)
    window.page.keyboard.press("Enter")
    expect(rows).to_have_count(7)

    window.page.emulate_media(media="print")
    expect(rows).to_have_count(9)
    expect(toggle).to_be_hidden()


@pytest.mark.parametrize("script", [True, False])
def test_folded_parts_of_a_mailing_are_printed(
    open_window: OpenWindow, owner: User, mailing_id: int, *, script: bool
) -> None:
    window = open_mailing(open_window, owner, f"/mailings/{mailing_id}", PHONE, script=script)
    expect(window.main.locator("#attempts > li")).to_have_count(4)
    window.page.emulate_media(media="print")
    expect(window.main.locator("dl.facts", has_text="How often")).to_be_visible()
    expect(window.main.locator("#next li").first).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_rarely_used_buttons_are_in_a_menu(
    open_window: OpenWindow, owner: User, mailing_id: int, *, script: bool
) -> None:
    window = open_mailing(open_window, owner, f"/mailings/{mailing_id}", PHONE, script=script)
    cancel = window.main.get_by_role("link", name="Cancel mailing")
    expect(window.main.get_by_role("button", name="Pause")).to_be_visible()
    expect(cancel).to_be_hidden()
    menu = window.main.locator(".more-menu > summary")
    menu.focus()
    window.page.keyboard.press("Enter")
    expect(cancel).to_be_visible()
    window.expect_to_fit()
    if script:
        window.page.keyboard.press("Escape")
        expect(cancel).to_be_hidden()
        window.page.keyboard.press("Enter")
    cancel.click()
    window.expect_title("Cancel this mailing?")


def test_results_by_group_are_loaded_when_a_phone_unfolds_them(
    open_window: OpenWindow, owner: User, mailing_id: int
) -> None:
    window = open_mailing(open_window, owner, f"/mailings/{mailing_id}", PHONE, script=True)
    groups = window.main.locator("#by-domain")
    expect(groups).to_be_hidden()
    window.main.locator("summary", has_text="Results by group").click()
    expect(groups).to_be_visible()
    window.expect_to_fit()
