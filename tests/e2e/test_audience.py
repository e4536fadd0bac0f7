"""Test the path from a tag to the reason for a letter: tag, build a segment, send, and read the reason."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.models import Client, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.test_segments import fill
from tests.e2e.window import DESKTOP, Window
from tests.support.factories import ClientFactory, MessageFactory

TIMEOUT_SECONDS = 60


@pytest.fixture
def owner(site: Site) -> User:
    """Create a shop with three clients in two towns, and a message."""
    user = site.add_user(name="Tea Shop", locale="en")
    with site.open_session() as session:
        own = session.get_one(User, user.id)
        own.attribute_types = {"city": "text"}
        for name, city in (("ann", "Omsk"), ("bob", "Omsk"), ("eve", "Tver")):
            email = f"{name}{user.id}@example.org"
            ClientFactory.create(owner=own, email=email, full_name=name, attributes={"city": city})
        MessageFactory.create(owner=own, subject="New tea")
    return user


def tag_first_client(window: Window, owner: User) -> None:
    window.open("/clients/")
    bar = window.main.locator(".bulk-bar")
    expect(bar).not_to_be_visible()
    window.main.get_by_role("checkbox", name=f"Select bob{owner.id}@example.org").check()
    expect(bar).to_contain_text("1 selected")
    bar.locator("[name=value]").fill("wholesale")
    bar.get_by_role("button", name="Add tag").click()
    expect(window.page.locator(".flash").first).to_contain_text("1 client tagged.")
    expect(window.main.get_by_role("link", name="wholesale")).to_have_count(1)
    window.main.locator("#tick-page").check()
    expect(bar).to_contain_text("3 selected")
    window.main.locator("#tick-page").uncheck()
    expect(bar).not_to_be_visible()


def build_segment(window: Window) -> None:
    window.open("/segments/new")
    window.fill(name="Omsk")
    fill(window.main.locator(".condition").first, "City", "is", "omsk")
    expect(window.page.locator("#reach")).to_contain_text("2 of 3 clients")
    window.main.get_by_role("button", name="Save").click()
    window.page.wait_for_url(re.compile(r"/segments/\d+$"))


def send_to_segment(window: Window) -> None:
    page = window.page
    window.open("/mailings/new")
    page.locator("[name=audience][value=segments]").check()
    expect(page.locator("#picker")).not_to_be_visible()
    included = page.locator(".audience-include")
    included.get_by_role("checkbox", name="Omsk").check()
    page.get_by_text("Exclude some clients").click()
    page.locator(".audience-exclude").get_by_role("checkbox", name="wholesale").check()
    current = page.locator(".form-step:visible")
    current.locator("[data-next]").click()
    window.fill(message="New tea", name="Tea for Omsk")
    current.locator("[data-next]").click()
    current.locator("[data-next]").click()
    start = window.main.locator("#start-button > button")
    expect(start).to_contain_text("1 client")
    start.click()
    window.main.locator("#start-now button[type=submit]").click()
    page.wait_for_url(re.compile(r"/mailings/\d+$"))
    expect(page.locator("#live[data-hx-get]")).to_have_count(0, timeout=1000 * TIMEOUT_SECONDS)
    expect(window.main.get_by_role("link", name="Omsk", exact=True)).to_have_count(1)
    expect(window.main).to_contain_text("without wholesale")


def test_a_segment_without_a_tag_gets_a_mailing_and_the_reason_is_on_the_clients_page(
    open_window: OpenWindow, site: Site, owner: User
) -> None:
    window = open_window(DESKTOP)
    window.sign_in(owner.email)
    tag_first_client(window, owner)
    build_segment(window)
    send_to_segment(window)
    with site.open_session() as session:
        clients = session.execute(select(Client.full_name, Client.id).where(Client.owner_id == owner.id))
        ids = dict(clients.tuples().all())
    window.open(f"/clients/{ids['ann']}")
    letter = window.page.locator("[data-kind=letter]")
    expect(letter).to_contain_text("Tea for Omsk")
    letter.locator("summary").click()
    expect(letter).to_contain_text("at least one of these segments and tags: “Omsk”")
    expect(letter).to_contain_text("none of the excluded segments and tags: “wholesale”")
    expect(letter).to_contain_text("City is omsk")
    for name in ("bob", "eve"):
        window.open(f"/clients/{ids[name]}")
        expect(window.main).to_contain_text("Added to your clients")
        expect(window.page.locator("[data-kind=letter]")).to_have_count(0)
