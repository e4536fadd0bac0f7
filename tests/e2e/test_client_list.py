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
    main.get_by_role("checkbox", name="city").check()
    main.get_by_role("button", name="Show").click()
    expect(main.get_by_role("columnheader", name="city")).to_be_visible()
    expect(main.locator(".client-value").first).to_have_text("Tver")

    change_a_value(window)

    main.get_by_role("link", name="Page 2", exact=True).click()
    expect(main.locator("tbody tr")).to_have_count(10)
    main.get_by_role("link", name="Previous page").click()
    expect(main.locator("[aria-current=page]")).to_have_text("1")

    page.keyboard.press("/")
    page.keyboard.type("omsk ann")
    page.keyboard.press("Enter")
    expect(main.locator(".client-count")).to_contain_text("30 found")


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
