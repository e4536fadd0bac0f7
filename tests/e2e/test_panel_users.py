"""Test the manager panel in a browser: finding, blocking and unblocking users, and changing their roles."""

import pytest
from playwright.sync_api import expect

from skymailing.models import Role, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import Window
from tests.support.factories import PASSWORD, ClientFactory, MailingFactory


@pytest.fixture
def manager(site: Site, open_window: OpenWindow) -> Window:
    """Open a window in which a manager is signed in."""
    window = open_window()
    window.sign_in(site.add_user(Role.MANAGER).email)
    return window


def confirm(window: Window, reason: str, button: str) -> None:
    """Enter a reason and confirm."""
    window.fill(reason=reason)
    window.main.get_by_role("button", name=button).click()


def test_the_user_list_can_be_filtered_and_shows_counts(site: Site, manager: Window) -> None:
    with site.open_session():
        mailing = MailingFactory.create(owner__email="numbers@example.com", owner__name="Numbers Ltd")
        for _ in range(3):
            ClientFactory.create(owner=mailing.owner)
    site.add_user(email="quiet@example.com", confirmed_at=None)
    manager.open("/")
    manager.page.get_by_role("link", name="Panel").click()
    manager.page.get_by_role("navigation", name="Panel").get_by_role("link", name="Users").click()
    manager.expect_title("Users")

    manager.choose(q="numbers ltd")
    (row,) = manager.rows()
    assert "numbers@example.com" in row
    assert row.split("\t")[2:5] == ["3", "1", "0"]
    manager.choose(q="", confirmed="no", role="user")
    assert any("quiet@example.com" in row for row in manager.rows())
    assert not any("numbers@example.com" in row for row in manager.rows())
    manager.page.reload()
    assert manager.page.locator("[name=confirmed]").input_value() == "no"
    with manager.new_page():
        manager.page.get_by_role("link", name="Show all").click()
    manager.choose(q="no user has this name")
    expect(manager.main).to_contain_text("Nothing found")


def test_a_blocked_user_is_signed_out_and_sees_the_reason(
    site: Site, manager: Window, open_window: OpenWindow
) -> None:
    user = site.add_user(email="spammer@example.com")
    users_window = open_window()
    users_window.sign_in_on_page(user.email)
    manager.open("/manager/users/")
    manager.choose(q="spammer")
    manager.page.get_by_role("link", name=user.email).click()
    manager.page.get_by_role("link", name="Block…").click()
    manager.expect_title("Block this user?")
    manager.main.get_by_role("button", name="Block user").click()
    expect(manager.page.get_by_label("Reason")).to_be_focused()  # the browser requires it
    confirm(manager, "Bought addresses", "Block user")
    manager.expect_notice("1 user blocked.")
    expect(manager.main).to_contain_text("Reason: Bought addresses")

    users_window.page.get_by_role("link", name="Clients").first.click()
    users_window.page.wait_for_url("**/auth/login?**")
    users_window.fill(email=user.email, password=PASSWORD)
    with users_window.expecting(403):
        users_window.main.locator("button.btn-primary").click()
        users_window.expect_title("Your account is blocked")
    expect(users_window.main).to_contain_text("Bought addresses")

    manager.page.get_by_role("link", name="Unblock…").click()
    confirm(manager, "Promised better", "Unblock user")
    manager.expect_notice("1 user unblocked.")
    users_window.sign_in_on_page(user.email)

    manager.open("/manager/audit/")
    entries = [row for row in manager.rows() if user.email in row]
    assert ["Promised better" in entries[0], "Bought addresses" in entries[1]] == [True, True]
    assert all("127.0.0.1" in row for row in entries)


def test_several_users_are_blocked_after_confirmation(site: Site, manager: Window) -> None:
    users = [site.add_user(email=f"pair-{number}@example.com") for number in range(2)]
    manager.open("/manager/users/")
    expect(manager.main.get_by_role("button", name="Block selected…", exact=True)).to_be_hidden()
    manager.open("/manager/users/block")
    manager.expect_notice("Select at least one user.")

    manager.choose(q="pair-")
    for user in users:
        manager.page.get_by_label(f"Select {user.email}").check()
    manager.main.get_by_role("button", name="Block selected…", exact=True).click()
    manager.expect_title("Block 2 users?")
    for user in users:
        expect(manager.main).to_contain_text(user.email)
    with manager.new_page():
        manager.main.get_by_role("link", name="No, go back").click()
    manager.choose(q="pair-", blocked="yes")
    assert manager.rows() == [], "the confirmation page changes nothing"

    manager.choose(q="pair-", blocked="no")
    manager.page.get_by_label("Select all users on this page").check()
    for user in users:
        expect(manager.page.get_by_label(f"Select {user.email}")).to_be_checked()
    manager.main.get_by_role("button", name="Block selected…", exact=True).click()
    confirm(manager, "Both", "Block 2 users")
    manager.expect_notice("2 users blocked.")
    manager.choose(q="pair-", blocked="yes")
    assert len(manager.rows()) == 2


def test_administrators_cannot_be_selected(site: Site, manager: Window) -> None:
    boss = site.add_user(Role.ADMIN, email="untouchable@example.com")
    manager.open("/manager/users/")
    manager.choose(q=boss.email)
    assert manager.main.locator("tbody input[type=checkbox]").count() == 0
    manager.page.get_by_role("link", name=boss.email).click()
    manager.expect_title(boss.email)
    for verb in ("Block…", "Change role…"):
        assert manager.page.get_by_role("link", name=verb).count() == 0


def test_an_administrator_changes_a_role_and_the_audit_log_records_it(
    site: Site, open_window: OpenWindow
) -> None:
    boss, person = open_window(), open_window()
    user: User = site.add_user(email="promoted@example.com")
    boss.sign_in(site.add_user(Role.ADMIN).email)
    person.sign_in_on_page(user.email)
    assert person.page.get_by_role("link", name="Panel").count() == 0

    boss.open(f"/manager/users/{user.id}/")
    boss.page.get_by_role("link", name="Change role…").click()
    boss.fill(role="content")
    confirm(boss, "Writes well", "Change role")
    boss.expect_notice("Role changed.")
    with boss.new_page():
        boss.page.get_by_role("navigation", name="Panel").get_by_role("link", name="Audit log").click()
    boss.choose(q=user.email, action="role-changed")
    (row,) = boss.rows()
    assert "user -> content: Writes well" in row

    person.page.reload()
    person.page.get_by_role("link", name="Panel").first.click()
    person.expect_title("Articles")
