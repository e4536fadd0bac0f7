"""Test a subscriber's journey in a browser: sign up, get letters, unsubscribe from a topic, resubscribe."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect
from sqlalchemy import insert, select, update

from skymailing.clock import utcnow
from skymailing.models import Client, MessageFormat, SignupMailbox, Tag, Topic, User, client_tags
from skymailing.signup.requests import BETWEEN_LETTERS
from tests.e2e.conftest import OpenWindow
from tests.e2e.mailbox import Mailbox
from tests.e2e.site import Site
from tests.e2e.website import Website, website
from tests.e2e.window import DESKTOP, PHONE_DARK, Screen, Window
from tests.support.factories import ClientFactory, MessageFactory
from tests.support.signup_factories import TopicChoiceFactory

__all__ = ["website"]

TIMEOUT_SECONDS = 60  # time limit for a mailing
BODY = """# {subject}

Hello, {{{{ name }}}}! This is for {{{{ email }}}}.

[Read in the browser]({{{{ browser_url }}}})

[Leave]({{{{ unsubscribe_url }}}}) [Topics]({{{{ preferences_url }}}})
"""
CONFIRMATION = "Please confirm your subscription"


@dataclass
class Journey:
    """An owner, and a visitor of the owner's website who subscribes."""

    site: Site
    website: Website
    owner: User
    office: Window
    visitor: Window
    mailbox: Mailbox
    reader: Mailbox  # another person's, who gets everything

    def send(self, subject: str, topic: str, clients: int) -> None:
        """Send a new message to clients with the form's tag, and wait until the mailing has finished."""
        with self.site.open_session() as session:
            owner = session.get_one(User, self.owner.id)
            body = BODY.format(subject=subject)
            MessageFactory.create(owner=owner, subject=subject, body=body, format=MessageFormat.MARKDOWN)
        window, page = self.office, self.office.page
        window.open("/mailings/new")
        page.locator("[name=audience][value=segments]").check()
        page.locator(".audience-include").get_by_role("checkbox", name="subscribers").check()
        window.fill(topic=topic)
        current = page.locator(".form-step:visible")
        current.locator("[data-next]").click()
        window.fill(message=subject, name=subject)
        current.locator("[data-next]").click()
        current.locator("[data-next]").click()
        start = window.main.locator("#start-button > button")
        expect(start).to_have_text(re.compile(rf"Send to {clients} clients? now"))
        start.click()
        window.main.locator("#start-now button[type=submit]").click()
        window.expect_title(subject)
        expect(page.locator("#live[data-hx-get]")).to_have_count(0, timeout=1000 * TIMEOUT_SECONDS)

    def expect_letter(self, subject: str, topic: str) -> None:
        """Send a mailing that the visitor gets, and open the letter."""
        self.send(subject, topic, clients=2)
        self.mailbox.open(subject)
        greeting = f"Hello, Anna! This is for {self.mailbox.email}."
        expect(self.visitor.page.get_by_text(greeting)).to_be_visible()

    def expect_no_letter(self, subject: str, topic: str) -> None:
        """Send a mailing that everyone except the visitor gets."""
        self.send(subject, topic, clients=1)
        self.visitor.wait_until(lambda: self.reader.count()[subject], "the other reader gets the letter")
        assert self.mailbox.count()[subject] == 0

    def unsubscribe(self, subject: str) -> None:
        """Unsubscribe from a letter's topic through its link."""
        self.mailbox.open(subject)
        self.mailbox.follow("Leave")
        self.visitor.expect_title("Unsubscribe from “News”?")
        self.visitor.main.get_by_role("button", name="Unsubscribe from “News”").click()
        self.visitor.expect_title("You are unsubscribed from “News”")

    def sign_up(self, times: int = 1) -> None:
        """Fill in the form on the website, and confirm the address through the letter."""
        visitor = self.visitor
        visitor.page.goto(self.website.url)
        visitor.main.get_by_label("Email").fill(self.mailbox.email)
        visitor.main.get_by_label("Your name").fill("Anna")
        visitor.main.get_by_role("button", name="Subscribe").click()
        visitor.expect_title("One more step")
        expect(visitor.main).to_contain_text(self.mailbox.email)
        visitor.main.get_by_role("button", name="Subscribe").click()
        visitor.expect_title("Check your email")
        self.mailbox.open(CONFIRMATION, copies=times)
        self.mailbox.follow("Confirm subscription")
        expect(visitor.main).to_contain_text("You will receive emails from Tea Shop.")
        visitor.main.get_by_role("button", name="Confirm subscription").click()
        visitor.expect_title("You are subscribed")


@pytest.fixture
def journey(
    site: Site, website: Website, open_window: OpenWindow, screen: Screen, javascript: bool
) -> Journey:
    owner = site.add_user(name="Tea Shop", locale="en")
    office, visitor = open_window(DESKTOP), open_window(screen, javascript=javascript)
    office.sign_in(owner.email)
    mailbox = Mailbox(site, f"anna{owner.id}@mail.example", visitor)
    reader = Mailbox(site, f"vera{owner.id}@mail.example", visitor)
    return Journey(site, website, owner, office, visitor, mailbox, reader)


def add_topics(office: Window) -> None:
    for name, is_opt_in in (("News", True), ("Tastings", False)):
        office.open("/topics/new")
        office.fill(name=name)
        office.main.locator("[name=is_opt_in]").set_checked(is_opt_in)
        office.main.get_by_role("button", name="Save").click()
        office.expect_title("Topics")
        expect(office.main.get_by_role("link", name=name, exact=True)).to_be_visible()


def add_form(office: Window) -> str:
    """Create a form that adds a tag and subscribes to a topic; return its code for websites."""
    office.open("/forms/new")
    office.fill(name="Footer", consent_text="I agree to get news about tea.", tags="subscribers")
    office.main.get_by_role("checkbox", name="Name", exact=True).check()
    office.main.get_by_role("textbox", name="Label of Name").fill("Your name")
    office.main.get_by_role("checkbox", name="News").check()
    office.main.get_by_role("button", name="Save").click()
    office.expect_title("Footer")
    return office.main.get_by_role("textbox", name="Code for your website").input_value()


def add_reader(journey: Journey) -> None:
    """Add a client who has the tag and the topic, too, so that every mailing has a recipient."""
    with journey.site.open_session() as session:
        owner = session.get_one(User, journey.owner.id)
        tag = session.scalars(select(Tag).where(Tag.owner_id == owner.id)).one()
        news = session.scalars(select(Topic).where(Topic.owner_id == owner.id, Topic.name == "News")).one()
        email = journey.reader.email
        client = ClientFactory.create(owner=owner, email=email, full_name="Vera")
        session.execute(insert(client_tags).values(client_id=client.id, tag_id=tag.id))
        TopicChoiceFactory.create(topic=news, email_key=email, is_joined=True)


def expect_client(journey: Journey) -> None:
    """Check the owner's page about the visitor."""
    with journey.site.open_session() as session:
        client = session.scalars(select(Client.id).where(Client.email == journey.mailbox.email)).one()
    office = journey.office
    office.open(f"/clients/{client}")
    office.expect_title("Anna")
    expect(office.main.get_by_role("link", name="subscribers")).to_be_visible()
    topics = office.main.locator("#topics li")
    expect(topics.filter(has_text="News")).to_contain_text("subscribed on")
    expect(topics.filter(has_text="Tastings")).to_contain_text("gets emails")
    expect(office.main).to_contain_text("I agree to get news about tea.")
    office.open("/forms/")
    expect(office.main.locator("tbody tr").get_by_role("cell")).to_contain_text(["Footer", "open", "1", "1"])


def publish(journey: Journey, subject: str) -> None:
    """Publish the mailing from its page, which the owner has open."""
    office = journey.office
    office.expect_title(subject)
    office.main.get_by_role("link", name="Publish").click()
    office.expect_title("Publish in the archive")
    office.main.get_by_role("button", name="Publish").click()
    office.expect_notice("Published.")


def expect_to_read(journey: Journey, stranger: Window, subject: str) -> None:
    """Check that a person who did not get the letter finds it in the archive, without the visitor's data."""
    archive = journey.office.main.locator("p", has_text="Your archive:").get_by_role("link")
    stranger.open(archive.inner_text())
    stranger.expect_title("Email archive")
    stranger.main.get_by_role("link", name=subject).click()
    expect(stranger.page.get_by_role("heading", name=subject)).to_be_visible()
    expect(stranger.page.get_by_text("Hello!")).to_be_visible()
    source = stranger.page.content()
    assert not re.findall(r"Anna|Vera|mail\.example|/[upv]/|Leave|Topics|Read in the browser", source)


def resubscribe_through_preferences(journey: Journey, subject: str) -> None:
    visitor = journey.visitor
    journey.mailbox.open(subject)
    journey.mailbox.follow("Topics")
    visitor.expect_title("Emails from Tea Shop")
    news = visitor.main.get_by_role("checkbox", name="News")
    expect(news).not_to_be_checked()
    expect(visitor.main.get_by_role("checkbox", name="Tastings")).to_be_checked()
    news.check()
    visitor.main.get_by_role("button", name="Save").click()
    expect(visitor.main.get_by_role("status")).to_contain_text("Saved.")
    expect(news).to_be_checked()


def let_ten_minutes_pass(site: Site) -> None:
    """Make the last confirmation letter old enough for the mailbox to get another one."""
    with site.open_session() as session:
        session.execute(update(SignupMailbox).values(latest_at=utcnow() - BETWEEN_LETTERS))


@pytest.mark.usefixtures("no_earlier_signups")
@pytest.mark.parametrize(
    ("screen", "javascript"),
    [(DESKTOP, True), (PHONE_DARK, False)],
    ids=["with-javascript", "phone-without-javascript"],
)
def test_a_website_visitor_subscribes_unsubscribes_and_resubscribes(
    journey: Journey, open_window: OpenWindow
) -> None:
    add_topics(journey.office)
    journey.website.content = add_form(journey.office)
    add_reader(journey)
    journey.sign_up()
    expect_client(journey)

    journey.expect_letter("Spring teas", "News")
    publish(journey, "Spring teas")
    journey.mailbox.follow("Read in the browser")
    expect(journey.visitor.page.get_by_text("Hello, Anna!")).to_be_visible()
    expect_to_read(journey, open_window(DESKTOP), "Spring teas")

    journey.unsubscribe("Spring teas")
    journey.expect_no_letter("Summer teas", "News")
    journey.expect_letter("An evening with oolong", "Tastings")

    journey.mailbox.open("Spring teas")
    journey.mailbox.follow("Leave")
    journey.visitor.main.get_by_role("button", name="Undo: keep receiving emails").click()
    journey.visitor.expect_title("You will keep receiving emails")
    journey.expect_letter("Autumn teas", "News")

    journey.unsubscribe("Autumn teas")
    resubscribe_through_preferences(journey, "Autumn teas")
    journey.expect_letter("Winter teas", "News")

    journey.unsubscribe("Winter teas")
    let_ten_minutes_pass(journey.site)
    journey.sign_up(times=2)
    journey.expect_letter("Teas of the year", "News")
    assert journey.mailbox.count().total() == 2 + 5
