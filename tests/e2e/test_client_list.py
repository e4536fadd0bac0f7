"""Test the list of clients in a browser: search, select with the keyboard, choose columns, and turn pages."""

import re

from playwright.sync_api import expect

from skymailing.models import User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, Window
from tests.support.factories import ClientFactory


def test_a_long_list_can_be_selected_searched_and_paginated(site: Site, open_window: OpenWindow) -> None:
    user = site.add_user(name="Tea Shop", locale="en")
    with site.open_session() as session:
        own = session.get_one(User, user.id)
        for number in range(60):
            city = "Omsk" if number % 2 else "Tver"
            email = f"c{number:02d}-{user.id}@example.org"
            ClientFactory.create(owner=own, email=email, full_name="Ann", attributes={"city": city})
    window = open_window(DESKTOP)
    window.sign_in(user.email)
    window.open("/clients/?sort=email")
    page, main = window.page, window.main

    ticks = main.get_by_role("checkbox", name=re.compile("^Select c"))
    ticks.nth(1).click()
    ticks.nth(4).click(modifiers=["Shift"])
    expect(main.locator(".bulk-bar")).to_contain_text("4 selected")
    page.keyboard.press("Escape")
    expect(main.locator(".bulk-bar")).not_to_be_visible()

    main.locator(".columns-menu summary").click()
    main.get_by_role("checkbox", name="Tags").check()
    main.get_by_role("checkbox", name="city").check()
    main.get_by_role("button", name="Show").click()
    expect(main.get_by_role("columnheader", name="city")).to_be_visible()
    expect(main.locator(".client-value").first).to_have_text("Tver")

    change_a_value(window)
    add_a_tag(window)
    copy_an_address(window, f"c00-{user.id}@example.org")

    main.get_by_role("link", name="Page 2", exact=True).click()
    expect(main.locator("tbody tr")).to_have_count(10)
    main.get_by_role("link", name="Previous page").click()
    expect(main.locator("[aria-current=page]")).to_have_text("1")
    page.keyboard.press("/")
    page.keyboard.type("omsk ann")
    page.keyboard.press("Enter")
    expect(main.locator(".client-count")).to_contain_text("30 found")
    save_a_view(window)


def save_a_view(window: Window) -> None:
    """Save the search as a view, open it from the whole list, delete it, and undo that."""
    main = window.main
    main.locator(".save-view summary").click()
    main.get_by_role("textbox", name="Name", exact=True).fill("Omsk")
    main.get_by_role("textbox", name="Name", exact=True).press("Enter")
    views = main.get_by_role("navigation", name="Views")
    expect(views.locator("[aria-current]")).to_have_text("Omsk")
    expect(main.locator(".save-view")).to_have_count(0)
    views.get_by_role("link", name="All").click()
    expect(views.locator("[aria-current]")).to_have_text("All")
    views.get_by_role("link", name="Omsk").click()
    expect(main.locator(".client-count")).to_contain_text("30 found")
    views.get_by_role("button", name="Delete view “Omsk”").click()
    expect(views).to_have_count(0)
    window.page.get_by_role("button", name="Undo").click()
    expect(views.locator("[aria-current]")).to_have_text("Omsk")


def change_a_value(window: Window) -> None:
    """Change the first client's city where the list shows it, after cancelling once."""
    first = window.main.locator(".client-value").first
    first.get_by_role("button").click()
    field = first.get_by_role("textbox", name="city")
    expect(field).to_be_focused()
    field.fill("Riga")
    field.press("Escape")
    expect(first).to_have_text("Tver")
    first.get_by_role("button").press("Enter")
    field.fill("Riga")
    field.press("Enter")
    expect(first).to_have_text("Riga")
    window.page.reload()
    expect(first).to_have_text("Riga")
    leave_a_value(window)
    set_a_value_of_two(window)


def leave_a_value(window: Window) -> None:
    """Change the second client's city by leaving its field, which keeps the focus where people put it."""
    second = window.main.locator(".client-value").nth(1)
    second.get_by_role("button").click()
    second.get_by_role("textbox", name="city").fill("Kazan")
    search = window.main.get_by_role("searchbox")
    search.click()
    expect(second).to_have_text("Kazan")
    expect(search).to_be_focused()
    second.get_by_role("button", name="city: Kazan. Change").click()
    second.get_by_role("textbox", name="city").fill("Omsk")
    second.get_by_role("textbox", name="city").press("Enter")
    expect(second.get_by_role("button")).to_be_focused()


def set_a_value_of_two(window: Window) -> None:
    """Set the city of two clients, and sort by it."""
    main = window.main
    ticks = main.get_by_role("checkbox", name=re.compile("^Select c"))
    ticks.nth(0).check()
    ticks.nth(2).check()
    main.locator(".bulk-value summary").click()
    main.get_by_role("combobox", name="Field").fill("city")
    main.get_by_role("textbox", name="Value").fill("Aachen")
    main.get_by_role("textbox", name="Value").press("Enter")
    expect(window.page.get_by_text("2 clients updated.")).to_be_visible()
    main.get_by_role("columnheader", name="city").get_by_role("link").click()
    expect(main.locator(".client-value")).to_contain_text(["Aachen", "Aachen", "Omsk"])
    main.get_by_role("columnheader", name="Address").get_by_role("link").click()


def add_a_tag(window: Window) -> None:
    """Add a tag to the first client where the list shows the name, after cancelling once."""
    cell = window.main.locator(".client-name").first
    cell.hover()
    cell.get_by_role("button", name=re.compile("^Add tag: c00")).click()
    field = cell.get_by_role("combobox")
    expect(field).to_be_focused()
    field.press("Escape")
    cell.get_by_role("button", name=re.compile("^Add tag: c00")).press("Enter")
    field.fill("gift")
    # An input method gets these keys while it composes a word.
    for key in ("Enter", "Escape"):
        field.evaluate(
            "(field, key) => field.dispatchEvent(new KeyboardEvent('keydown', {key, isComposing: true}))", key
        )
    expect(field).to_have_value("gift")
    field.press("Enter")
    expect(cell.locator(".tag-label")).to_have_text("gift")
    window.page.reload()
    expect(cell.locator(".tag-label")).to_have_text("gift")
    add_a_tag_by_leaving(window)


def add_a_tag_by_leaving(window: Window) -> None:
    """Add a tag by leaving its field; another tab has removed the client's tags before the answer."""
    cell = window.main.locator(".client-name").nth(1)
    cell.hover()
    cell.get_by_role("button", name=re.compile("^Add tag: c01")).click()
    cell.get_by_role("combobox").fill("book")
    window.page.keyboard.press("Tab")
    expect(cell.locator(".tag-label")).to_have_text("book")
    expect(cell.get_by_role("combobox")).to_have_count(0)
    window.page.route("**/tags", lambda route: route.fulfill(body=""))
    cell.hover()
    cell.get_by_role("button", name=re.compile("^Add tag: c01")).press("Enter")
    cell.get_by_role("combobox").fill("tea")
    cell.get_by_role("combobox").press("Enter")
    expect(cell.locator(".tag-label")).to_have_count(0)
    expect(cell).not_to_contain_text("null")
    window.page.unroute("**/tags")


def copy_an_address(window: Window, address: str) -> None:
    """Copy the first client's address with the button beside it."""
    window.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    window.main.locator(".client-email").first.hover()
    window.main.get_by_role("button", name=f"Copy the address: {address}").click()
    expect(window.main.get_by_text("Copied")).to_be_visible()
    assert window.page.evaluate("navigator.clipboard.readText()") == address
