"""Count what a new user clicks and types before the first mailing is delivered."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import expect_mode
from tests.e2e.site import Site
from tests.e2e.window import Window
from tests.processes.service import wait_until

PASSWORD = "a loaf of rye bread"
MAX_CLICKS, MAX_FIELDS = 15, 5
TIMEOUT_SECONDS = 120  # time limit for background processes


class NewUser:
    """Use the pages with a mouse and a keyboard, and count the clicks and the fields."""

    def __init__(self, window: Window) -> None:
        self.window, self.page = window, window.page
        self.clicks = self.fields = 0

    def click(self, target: Locator | str) -> None:
        """Click an element of the page, which may have just loaded."""
        element = target if isinstance(target, Locator) else self.window.main.locator(target)
        element.first.click()
        self.clicks += 1

    def type(self, name: str, text: str) -> None:
        """Fill in a field by its name."""
        self.window.fill(**{name: text})
        self.fields += 1


@pytest.fixture
def clients_file(tmp_path: Path) -> Path:
    path = tmp_path / "clients.csv"
    path.write_text("email,name\n" + "".join(f"c{n}@shop.example,Client {n}\n" for n in range(20)))
    return path


def test_the_first_mailing_takes_few_clicks_and_fields(
    site: Site, open_window: OpenWindow, clients_file: Path
) -> None:
    window = open_window()
    user = NewUser(window)
    window.open("/")
    register_and_confirm(site, user, "newcomer@bakery.example")
    import_file(user, clients_file)
    user.click(".actions-bar a.btn-primary")
    expect_mode(window, "writing")
    user.type("subject", "Fresh bread")
    window.page.locator(".ql-editor").focus()  # reachable with the Tab key
    window.page.keyboard.type("Hello {{ name }}, the oven is hot.")
    user.fields += 1
    user.click("#message-form button[name=then]")
    window.page.wait_for_url("**/mailings/new?message=*")
    user.click(".form-steps a[href='#step-check']")
    user.click("#start-button > button")
    user.click("#start-now button[type=submit]")
    # The page shows without a reload that all letters have been sent.
    window.page.wait_for_url("**/mailings/*")
    expect(window.page.locator("#live[data-hx-get]")).to_have_count(0, timeout=1000 * TIMEOUT_SECONDS)
    expect(window.page.locator("#live")).to_contain_text("20")

    assert user.clicks <= MAX_CLICKS
    assert user.fields <= MAX_FIELDS


def register_and_confirm(site: Site, user: NewUser, email: str) -> None:
    page = user.page
    user.click("a[href='/auth/register']")
    page.wait_for_url("**/auth/register")
    user.type("email", email)
    user.type("password", PASSWORD)
    user.click("form button[type=submit]")
    page.wait_for_url("**/auth/registered")
    outbox = site.service.data_dir / "outbox"
    wait_until(
        lambda: any(f"Delivered-To: {email}".encode() in path.read_bytes() for path in outbox.rglob("*.eml")),
        "the confirmation letter",
        TIMEOUT_SECONDS,
    )
    user.click("a[href='/outbox/']")
    user.click(user.window.main.locator("tr", has_text=email).locator("a"))
    with page.expect_popup() as popup:
        user.click(page.frame_locator("iframe").locator("a[href*='/auth/verify/']"))
    user.window.page = user.page = popup.value
    user.type("password", PASSWORD)
    user.click("form button[type=submit]")
    user.page.wait_for_url("**/")


def import_file(user: NewUser, file: Path) -> None:
    user.click("#step-clients a.btn-primary")
    with user.page.expect_file_chooser() as chooser:
        user.click("input[type=file]")
    chooser.value.set_files(file)
    user.click("form button[type=submit]")
    user.page.wait_for_url("**/clients/import/*")
    user.click(".form-actions button[type=submit]")
    user.page.wait_for_url("**/clients/imports/*")
    expect(user.page.locator("#created")).to_have_text("20")
