"""Test building "welcome, and another email three days later" by clicking, and getting both emails."""

import re

import pytest
from playwright.sync_api import Locator
from sqlalchemy import select

from skymailing.models import Client, Sequence, SignupForm, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.mailbox import Mailbox
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE_DARK, Screen, Window
from tests.support.signup_factories import SignupFormFactory

pytestmark = pytest.mark.usefixtures("no_earlier_signups")
MOST_CLICKS = 9


@pytest.fixture
def form(site: Site, owner: User) -> SignupForm:
    with site.open_session() as session:
        form: SignupForm = SignupFormFactory.create(owner=session.get_one(User, owner.id), name="Footer")
    return form


class Clicks:
    """Clicks, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, control: Locator) -> None:
        control.click()
        self.count += 1


def build_welcome(window: Window) -> Clicks:
    """Build the sequence from the mailings page, and start it."""
    click = Clicks()
    window.open("/mailings/")
    click(window.main.get_by_role("link", name="Sequences"))
    click(window.main.get_by_role("link", name=re.compile("^Welcome")))
    click(window.main.get_by_role("button", name="Create"))
    click(window.main.get_by_role("button", name="Start"))
    window.expect_notice("The sequence is running")
    window.expect_to_fit()
    return click


def subscribe(visitor: Window, form: SignupForm, mailbox: Mailbox) -> None:
    """Sign up and confirm."""
    visitor.open(f"/f/{form.uuid}")
    visitor.page.wait_for_timeout(3_100)  # people need longer to read the form
    visitor.fill(email=mailbox.email)
    visitor.main.get_by_role("button", name="Subscribe").click()
    visitor.expect_title("Check your email")
    mailbox.open("Please confirm your subscription")
    mailbox.follow("Confirm subscription")
    visitor.main.get_by_role("button", name="Confirm subscription").click()
    visitor.expect_title("You are subscribed")


@pytest.mark.parametrize("screen", [DESKTOP, PHONE_DARK], ids=str)
def test_a_welcome_is_built_in_under_ten_clicks_and_arrives(
    site: Site, open_window: OpenWindow, owner: User, form: SignupForm, screen: Screen
) -> None:
    window = open_window(screen)
    window.sign_in(owner.email)
    click = build_welcome(window)
    assert click.count <= MOST_CLICKS
    visitor = open_window(DESKTOP)
    email = f"anna.{form.id}@mail.example"
    mailbox = Mailbox(site, email, visitor)
    subscribe(visitor, form, mailbox)
    mailbox.open("Welcome!")
    with site.open_session() as session:
        own = (Client.email == email) & (Client.owner_id == owner.id)
        client_id = session.scalars(select(Client.id).where(own)).one()
        sequence_id = session.scalars(select(Sequence.id).where(Sequence.owner_id == owner.id)).one()
    window.open(f"/clients/{client_id}")
    window.main.locator("#sequences").get_by_role("button", name=re.compile("^Send the next email")).click()
    mailbox.open("How to begin")
    window.open(f"/sequences/{sequence_id}")
    assert "completed: 1" in window.main.inner_text()


def test_a_sequence_is_edited_without_scripts(open_window: OpenWindow, owner: User, form: SignupForm) -> None:
    window = open_window(DESKTOP, javascript=False)
    window.sign_in(owner.email)
    build_welcome(window)
    window.main.get_by_role("link", name="Add an email", exact=True).click()
    window.fill(wait="2", wait_unit="hours")
    window.main.get_by_role("button", name="Save").click()
    window.expect_notice("Email added")
    assert "2 hours later" in window.main.inner_text()
