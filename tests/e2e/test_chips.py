"""Test client data in writing mode: a chip behaves like a single character."""

import pytest
from playwright.sync_api import Locator, expect

from skymailing.models import MessageFormat, User
from tests.e2e.editor import add_message, body, expect_in_body, expect_mode, open_editor
from tests.e2e.site import Site
from tests.e2e.window import Window


@pytest.fixture
def chip(window: Window, site: Site, owner: User) -> Locator:
    """Open a message with one chip in the middle of a line, and click on it."""
    message = add_message(site, owner, format=MessageFormat.HTML, body="<p>Dear {{ name }} and all</p>")
    open_editor(window, f"/messages/{message}/edit")
    chip = window.page.locator(".ql-editor .chip")
    chip.click()
    return chip


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["Delete"], "<p>Dear  and all</p>"),
        (["Backspace"], "<p>Dear  and all</p>"),
        (["!"], "<p>Dear {{ name }}! and all</p>"),
        (["ArrowRight", "!"], "<p>Dear {{ name }}! and all</p>"),
        (["ArrowLeft", "!"], "<p>Dear !{{ name }} and all</p>"),
        (["End", "!"], "<p>Dear {{ name }} and all!</p>"),
        (["Home", "!"], "<p>!Dear {{ name }} and all</p>"),
    ],
)
def test_a_click_selects_a_chip_and_keys_leave_it(
    window: Window, chip: Locator, keys: list[str], expected: str
) -> None:
    for key in keys:
        window.page.keyboard.press(key)
    expect_in_body(window, expected)
    expect(chip).to_have_count(expected.count("{{"))


@pytest.mark.parametrize("end", ["<p><br></p>", "<p>&nbsp;</p>\n<p></p>", '<p class="x">\n</p>'])
def test_empty_paragraphs_at_the_end_do_not_turn_the_letter_into_source(
    window: Window, site: Site, owner: User, end: str
) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body=f"<p>Hello</p>\n{end}\n")
    open_editor(window, f"/messages/{message}/edit")
    expect_mode(window, "writing")
    assert body(window).strip().endswith(end), "nothing changes before the author types"


def test_the_button_tool_opens_a_dialog_for_a_button(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body="<p>Hello</p>")
    open_editor(window, f"/messages/{message}/edit")
    window.page.locator(".ql-editor").focus()
    window.page.keyboard.press("Control+End")
    window.page.locator("[data-tool=button]").click()
    dialog = window.page.get_by_role("dialog", name="Button")
    dialog.get_by_label("Text on the button").fill("Order")
    dialog.get_by_label("Page to open").fill("shop.example/order")
    dialog.get_by_role("button", name="Insert").click()
    expect_in_body(window, '<a class="button" href="https://shop.example/order">Order</a>')


def test_a_link_from_the_menu_has_a_text_in_the_letters_language(
    window: Window, site: Site, owner: User
) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body="<p>Hello</p>", language="ru")
    open_editor(window, f"/messages/{message}/edit")
    window.page.locator(".ql-editor").focus()
    window.page.keyboard.press("Control+End")
    window.page.get_by_text("Client data").click()
    window.page.get_by_role("button", name="Link to view in a browser").click()
    expect_in_body(window, '<a href="{{ browser_url }}">Открыть в браузере</a></p>')
