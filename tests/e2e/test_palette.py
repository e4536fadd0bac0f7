"""Test the command palette in a browser: by keyboard, in a Cyrillic layout, and without JavaScript."""

from playwright.sync_api import expect

from tests.e2e.conftest import OpenWindow
from tests.e2e.pages import DEMO
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, Window

CYRILLIC_K = """document.body.dispatchEvent(
    new KeyboardEvent("keydown", {key: "л", code: "KeyK", ctrlKey: true, bubbles: true, cancelable: true}))"""
CYRILLIC_N = """document.body.dispatchEvent(
    new KeyboardEvent("keydown", {key: "т", code: "KeyN", bubbles: true, cancelable: true}))"""


def sign_in(open_window: OpenWindow, site: Site, *, javascript: bool = True) -> Window:
    window = open_window(DESKTOP, "en", javascript=javascript)
    window.sign_in(DEMO, site.passwords[DEMO])
    window.open("/")
    return window


def test_a_page_is_opened_by_keyboard_alone(open_window: OpenWindow, site: Site) -> None:
    page = sign_in(open_window, site).page
    page.keyboard.press("Control+k")
    dialog = page.locator("#palette")
    expect(dialog.get_by_role("link", name="Clients", exact=True)).to_be_visible()
    page.keyboard.type("impo")
    expect(dialog.get_by_role("link").first).to_have_text("Import clients")
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("link").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/clients/import")


def test_shortcuts_work_in_a_cyrillic_layout(open_window: OpenWindow, site: Site) -> None:
    window = sign_in(open_window, site)
    window.page.evaluate(CYRILLIC_K)
    expect(window.page.locator("#palette input")).to_be_focused()
    window.page.keyboard.press("Escape")
    expect(window.page.locator("#palette")).to_be_hidden()
    window.open("/clients/")
    window.page.evaluate(CYRILLIC_N)
    window.page.wait_for_url("**/clients/new")


def test_without_javascript_the_button_leads_to_a_page(open_window: OpenWindow, site: Site) -> None:
    window = sign_in(open_window, site, javascript=False)
    window.page.locator("header").get_by_role("link", name="Search").click()
    window.main.get_by_role("searchbox").fill("import")
    window.main.get_by_role("button", name="Search").click()
    window.main.get_by_role("link", name="Import clients").first.click()
    window.page.wait_for_url("**/clients/import")
