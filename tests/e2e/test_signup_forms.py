"""Test sign-up forms in a browser: from the first visit to the confirmation, and with proof of work."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.clock import utcnow
from skymailing.models import Client, SignupForm, User
from skymailing.signup import protection, rates
from tests.e2e.conftest import OpenWindow
from tests.e2e.mailbox import Mailbox
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE_DARK, Screen, Window
from tests.support.signup_factories import SignupFormFactory

pytestmark = pytest.mark.usefixtures("no_earlier_signups")


@pytest.fixture
def form(site: Site, owner: User) -> SignupForm:
    with site.open_session() as session:
        form: SignupForm = SignupFormFactory.create(owner=session.get_one(User, owner.id))
    return form


def put_under_attack(site: Site, form: SignupForm) -> None:
    with site.open_session():
        for _ in range(protection.PER_FORM):
            rates.count([f"form:{form.id}", f"owner:{form.owner_id}"], utcnow())


@pytest.mark.parametrize("screen", [DESKTOP, PHONE_DARK], ids=str)
def test_an_owner_creates_a_form_and_a_person_subscribes(
    site: Site, window: Window, open_window: OpenWindow, owner: User, screen: Screen
) -> None:
    window.open("/forms/new")
    window.fill(name="Footer", consent_text="I agree")
    window.main.get_by_role("button", name="Save").click()
    window.expect_title("Footer")
    address = window.main.locator("a.form-link").get_attribute("href")
    assert address is not None
    visitor = open_window(screen)
    visitor.open(address)
    visitor.expect_color_scheme()
    email = f"anna.{owner.id}.{screen.width}@mail.example"
    visitor.page.wait_for_timeout(3_100)  # people need longer to read the form
    visitor.fill(email=email)
    visitor.main.get_by_role("button", name="Subscribe").click()
    visitor.expect_title("Check your email")
    mailbox = Mailbox(site, email, visitor)
    mailbox.open("Please confirm your subscription")
    mailbox.follow("Confirm subscription")
    visitor.main.get_by_role("button", name="Confirm subscription").click()
    visitor.expect_title("You are subscribed")
    with site.open_session() as session:
        assert session.scalar(select(Client).where(Client.email == email, Client.owner_id == owner.id))


def test_a_browser_computes_the_proof_of_work_automatically(
    site: Site, open_window: OpenWindow, form: SignupForm
) -> None:
    put_under_attack(site, form)
    visitor = open_window(DESKTOP)
    visitor.open(f"/f/{form.uuid}")
    visitor.fill(email=f"anna{form.id}@mail.example")
    visitor.main.get_by_role("button", name="Subscribe").click()
    visitor.expect_title("Check your email")


def test_without_scripts_the_page_explains_what_to_do(
    site: Site, open_window: OpenWindow, form: SignupForm
) -> None:
    put_under_attack(site, form)
    visitor = open_window(DESKTOP, javascript=False)
    visitor.open(f"/f/{form.uuid}")
    visitor.fill(email=f"boris{form.id}@mail.example")
    visitor.main.get_by_role("button", name="Subscribe").click()
    visitor.expect_title("One more step")
    expect(visitor.main).to_contain_text("Turn on JavaScript, or try again in an hour.")
