"""Test passkeys with Chromium's virtual authenticator."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import SCREENS, Screen, Window
from tests.support.factories import PASSWORD

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def add_authenticator(window: Window, **changes: bool) -> None:
    """Give the browser a device that accepts every request."""
    client = window.context.new_cdp_session(window.page)
    client.send("WebAuthn.enable")
    client.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR | changes})


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_passkey_is_added_signs_in_and_is_removed(
    site: Site, open_window: OpenWindow, screen: Screen, language: str
) -> None:
    user = site.add_user(locale=language)
    window = open_window(screen, language)
    window.sign_in(user.email)
    add_authenticator(window)
    window.open("/auth/profile/passkeys")
    window.expect_color_scheme()
    window.fill(current_password=PASSWORD)
    with window.new_page():
        window.main.locator("button[type=submit]").click()
    window.expect_to_fit()
    window.fill(name="Laptop")
    window.main.locator("button[type=submit]").click()
    window.page.wait_for_url("**/auth/profile/passkeys")
    expect(window.main.locator(".sessions strong")).to_have_text("Laptop")

    window.page.context.clear_cookies()
    window.open("/auth/login?next=/clients/")
    with window.new_page():
        window.main.locator("form[data-passkey] button").click()
    assert window.path == "/clients/"

    window.open("/auth/profile/passkeys")
    with window.new_page():
        window.main.locator(".sessions button").click()
    expect(window.main.locator(".sessions")).to_have_count(0)


def test_without_a_passkey_the_page_shows_an_error(site: Site, open_window: OpenWindow) -> None:
    window = open_window()
    add_authenticator(window, isUserVerified=False)
    window.open("/auth/login")
    form = window.main.locator("form[data-passkey]")
    form.locator("button").click()
    expect(form.locator("[data-problem]")).to_have_text("Not signed in: no passkey was chosen.")
    expect(form.locator("button")).to_be_enabled()
