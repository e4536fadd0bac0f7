"""Test the manager panel in a browser: inspecting, disabling and enabling mailings."""

import pytest
from playwright.sync_api import expect

from skymailing.models import DeliveryState, MailingState, Outcome, Role
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import Window
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, RunFactory


@pytest.fixture
def manager(site: Site, open_window: OpenWindow) -> Window:
    """Open a window in which a manager is signed in."""
    window = open_window()
    window.sign_in(site.add_user(Role.MANAGER).email)
    return window


def act_on_selected(manager: Window, verb: str) -> None:
    manager.main.get_by_role("button", name=f"{verb} selected…").click()


def test_a_mail_servers_reply_can_be_found_from_the_list(site: Site, manager: Window) -> None:
    with site.open_session():
        mailing = MailingFactory.create(name="Words", state=MailingState.FINISHED)
        run = RunFactory.create(mailing=mailing, planned=1)
        letter = DeliveryFactory.create(run=run, state=DeliveryState.FAILED)
        AttemptFactory.create(
            delivery=letter, outcome=Outcome.FAILED, code=550, answer="5.1.1 no <i>user</i>"
        )
    manager.open("/manager/mailings/")
    manager.choose(q="Words", state="finished", owner=mailing.owner.email)
    assert len(manager.rows()) == 1
    manager.page.get_by_role("link", name="Words").click()
    manager.expect_title("Words")
    manager.page.get_by_role("link", name="Log", exact=True).last.click()
    manager.expect_title("Log for “Words”")
    assert "5.1.1 no <i>user</i>" in manager.rows()[0]
    manager.page.go_back()
    manager.main.locator("table a").first.click()
    manager.expect_title("Send of “Words”")
    manager.page.get_by_role("link", name=letter.email).click()
    manager.expect_title(letter.email)
    assert "550" in manager.rows()[0]
    # The page is read-only: its only form is the one that signs out, outside of <main>.
    posts = manager.page.locator("main form[method=post]")
    assert posts.count() == 0


def test_a_disabled_mailing_shows_its_owner_the_reason_until_it_is_enabled(
    site: Site, manager: Window, open_window: OpenWindow
) -> None:
    with site.open_session():
        mailing = MailingFactory.create(name="Complained of", state=MailingState.PAUSED)
    owner = open_window()
    owner.sign_in(mailing.owner.email)
    manager.open(f"/manager/mailings/{mailing.id}/")
    manager.page.get_by_role("link", name="Disable…").click()
    manager.expect_title("Disable this mailing?")
    expect(manager.main).to_contain_text("Complained of")
    manager.fill(reason="Three complaints")
    manager.main.get_by_role("button", name="Disable mailing").click()
    manager.expect_notice("1 mailing disabled.")

    owner.open(f"/mailings/{mailing.id}")
    expect(owner.main).to_contain_text("Reason: Three complaints")
    assert owner.main.get_by_role("button", name="Resume").count() == 0

    manager.page.get_by_role("link", name="Enable…").click()
    manager.fill(reason="Sorted out")
    manager.main.get_by_role("button", name="Enable mailing").click()
    manager.expect_notice("1 mailing enabled.")
    owner.open(f"/mailings/{mailing.id}")
    expect(owner.main.get_by_role("button", name="Resume")).to_be_visible()


def test_several_mailings_are_disabled_after_confirmation(site: Site, manager: Window) -> None:
    names = ["Pair one", "Pair two"]
    with site.open_session():
        for name in names:
            MailingFactory.create(name=name)
    manager.open("/manager/mailings/")
    manager.choose(q="Pair", disabled="no")
    for name in names:
        manager.page.get_by_label(f"Select {name}").check()
    act_on_selected(manager, "Disable")
    manager.expect_title("Disable 2 mailings?")
    for name in names:
        expect(manager.main).to_contain_text(name)
    manager.fill(reason="Both")
    manager.main.get_by_role("button", name="Disable 2 mailings").click()
    manager.expect_notice("2 mailings disabled.")
    manager.choose(q="Pair", disabled="yes")
    assert len(manager.rows()) == 2

    manager.page.get_by_label("Select Pair one").check()
    act_on_selected(manager, "Enable")
    manager.expect_title("Enable this mailing?")
