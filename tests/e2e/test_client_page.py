"""Test the client's page in a browser: values are changed where they are shown."""

from playwright.sync_api import expect

from skymailing.models import User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP
from tests.support.factories import ClientFactory


def test_a_value_is_changed_in_place(site: Site, open_window: OpenWindow) -> None:
    user = site.add_user(name="Tea Shop", locale="en")
    with site.open_session() as session:
        own = session.get_one(User, user.id)
        anna = ClientFactory.create(owner=own, full_name="Anna", attributes={"city": "Omsk"})
        path = f"/clients/{anna.id}"
    window = open_window(DESKTOP)
    window.sign_in(user.email)
    window.open(path)
    city = window.main.locator("details.in-place", has_text="Omsk")
    field = window.main.get_by_label("city", exact=True)

    city.locator("summary").click()
    expect(field).to_be_focused()
    field.fill("Tver")
    field.press("Escape")
    expect(field).to_be_hidden()
    expect(city.locator("summary")).to_be_focused()

    city.locator("summary").press("Enter")
    expect(field).to_have_value("Omsk")
    field.fill("Riga")
    city.get_by_role("button", name="Cancel").or_(city.get_by_role("link", name="Cancel")).click()
    expect(field).to_be_hidden()

    city.locator("summary").click()
    field.fill("Riga")
    field.press("Enter")
    expect(window.main.locator("details.in-place", has_text="Riga")).to_be_visible()
