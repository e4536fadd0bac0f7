"""Test letters that are shown as pages: they look right, and their links work, but not their scripts."""

from skymailing.models import Delivery, MessageFormat
from tests.archive.letters import create_sent_run
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.test_hostile_html import Listener, OpenWatched, attacker, make_payload, open_watched
from tests.e2e.window import Window
from tests.support.archives import link_to
from tests.support.factories import ClientFactory, DeliveryFactory, UserFactory

__all__ = ["attacker", "open_watched"]

BODY = """# Spring teas

Hello, {{ name | default: "friends" }}!

<a href="/blog/" target="_blank">Blog</a> [Unsubscribe]({{ unsubscribe_url }})
"""


def send(site: Site, body: str, format: MessageFormat = MessageFormat.MARKDOWN) -> tuple[Delivery, str]:
    """Return a letter that has been sent, and the path that opens it."""
    with site.open_session():
        owner = UserFactory.create(name="Tea Shop")
        client = ClientFactory.create(owner=owner, full_name="Anna")
        run = create_sent_run(owner, body, format=format, planned=1)
        delivery = DeliveryFactory.create(run=run, client=client)
    return delivery, link_to(site.app, delivery)


def publish(site: Site, window: Window, delivery: Delivery) -> str:
    """Publish the letter's run through its page; return the path of the published letter."""
    window.sign_in(delivery.run.mailing.owner.email)
    window.open(f"/mailings/{delivery.run.mailing_id}")
    window.main.get_by_role("link", name="Publish").click()
    window.expect_title("Publish in the archive")
    window.main.get_by_role("button", name="Publish").click()
    window.expect_notice("Published.")
    return str(window.main.locator("tbody a").first.get_attribute("href"))


def test_a_person_opens_their_letter_and_unsubscribes(site: Site, open_window: OpenWindow) -> None:
    _delivery, link = send(site, BODY.replace("/blog/", f"{site.url}/blog/"))
    window = open_window()
    window.open(link)
    window.page.get_by_text("Hello, Anna!").wait_for()
    with window.page.expect_popup() as popup:
        window.page.get_by_role("link", name="Blog").click()
    popup.value.get_by_role("heading", level=1).wait_for()
    assert popup.value.evaluate("typeof fetch") == "function", "linked pages may run scripts"
    popup.value.close()
    window.page.get_by_role("link", name="Unsubscribe").click()
    window.page.get_by_role("button", name="Unsubscribe").click()
    window.expect_title("You are unsubscribed")


def test_an_owner_publishes_a_letter_and_a_visitor_reads_it(site: Site, open_window: OpenWindow) -> None:
    delivery, _link = send(site, BODY)
    path = publish(site, open_window(), delivery)
    visitor = open_window()
    visitor.open(path)
    visitor.page.get_by_text("Hello, friends!").wait_for()
    assert visitor.page.get_by_text("Unsubscribe").count() == 0
    visitor.page.get_by_role("link", name="All emails from Tea Shop").click()
    visitor.expect_title("Email archive")
    visitor.main.get_by_role("link", name="News").click()
    visitor.page.get_by_text("Hello, friends!").wait_for()


def test_a_letter_that_is_a_page_runs_no_script(
    site: Site, open_watched: OpenWatched, attacker: Listener
) -> None:
    delivery, link = send(site, make_payload(attacker.url), MessageFormat.HTML)
    published = publish(site, open_watched(), delivery)
    for path in (link, published):
        window = open_watched()
        window.page.goto(path)
        window.wait_until_quiet()
