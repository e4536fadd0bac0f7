"""Test a click from the letter to the owner's page, in a browser."""

import re

from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.models import Mailing, MessageFormat, Run, RunLink, User
from tests.e2e.clicked_run import add_clicked_run
from tests.e2e.conftest import OpenWindow
from tests.e2e.mailbox import Mailbox
from tests.e2e.site import Site
from tests.e2e.window import PHONE, PHONE_DARK
from tests.support.factories import ClientFactory, MessageFactory, due_mailing

# The tests' browser identifies itself as headless, so its clicks would count as a program's.
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
SUBJECT = "Spring teas"


def send(site: Site, email: str) -> tuple[str, int]:
    """Send a letter with a link to the blog; return the owner's address and the ID of the run."""
    owner = site.add_user(name="Tea Shop", locale="en")
    with site.open_session() as session:
        user = session.get_one(User, owner.id)
        ClientFactory.create(owner=user, email=email)
        body = f"Hello!\n\n[Read the blog]({site.url}/blog/)\n\n[Order tea](https://shop.example/)"
        message = MessageFactory.create(owner=user, subject=SUBJECT, body=body, format=MessageFormat.MARKDOWN)
        return owner.email, due_mailing(user, message=message, track_clicks=True).id


def find_run(site: Site, mailing_id: int) -> int:
    with site.open_session() as session:
        found = select(Run.id).join(Mailing, Mailing.id == Run.mailing_id).where(Mailing.id == mailing_id)
        return session.scalars(found).one()


def is_counted(site: Site, run_id: int) -> bool:
    with site.open_session() as session:
        people = select(RunLink.people).where(RunLink.run_id == run_id)
        return any(session.scalars(people))


def test_a_click_in_a_letter_is_one_person_on_the_owners_page(site: Site, open_window: OpenWindow) -> None:
    reader = open_window(PHONE)
    mailbox = Mailbox(site, "clicking.reader@mail.example", reader)
    owner, mailing_id = send(site, mailbox.email)
    mailbox.open(SUBJECT)
    reader.context.set_extra_http_headers({"User-Agent": FIREFOX})
    mailbox.follow("Read the blog")
    assert reader.page.url == f"{site.url}/blog/", "the click leads to the page in the link"
    office = open_window()
    office.sign_in(owner)
    run_id = find_run(site, mailing_id)
    office.wait_until(lambda: is_counted(site, run_id), "the click is counted by the next sweep")
    run_path = f"/mailings/runs/{run_id}"
    office.open(f"{run_path}/clicks")
    expect(office.main).to_contain_text(mailbox.email)
    expect(office.main).to_contain_text(re.compile(r"Clicked\s+1 100% of the delivered emails"))
    expect(office.main.locator("#links tbody tr").first).to_contain_text("Read the blog")
    badge = office.page.frame_locator("iframe.map-frame").locator("span[title]").first
    expect(badge).to_have_text("1 · 100%")
    office.main.get_by_role("button", name="Save those who clicked as a segment").click()
    expect(office.main.locator("h1")).to_contain_text("Clicked in")
    expect(office.main).to_contain_text(mailbox.email)
    office.open(run_path)
    office.main.locator("#breakdowns").scroll_into_view_if_needed()
    expect(office.main.locator("#by-domain tbody tr")).to_contain_text("mail.example")
    expect(office.main.locator("#by-domain tbody tr")).to_contain_text("1 100%")


def test_the_click_map_is_readable_on_a_dark_phone(site: Site, open_window: OpenWindow) -> None:
    owner = site.add_user()
    run_id = add_clicked_run(site, owner.id)
    with site.open_session() as session:  # as letters of our layouts, it has dark colours, too
        run = session.get_one(Run, run_id)
        head = '<head><meta name="color-scheme" content="light dark"></head>'
        run.body = run.body.replace("<body", f"{head}<body")
    window = open_window(PHONE_DARK)
    window.sign_in(owner.email)
    window.open(f"/mailings/runs/{run_id}/clicks")
    window.main.locator("#map").scroll_into_view_if_needed()
    letter = window.page.frame_locator("iframe.map-frame")
    expect(letter.locator("span[title]").first).to_have_text("21 · 70%")
    title = letter.locator("h1")
    shown = title.screenshot()
    title.evaluate("title => { title.style.color = 'transparent'; }")
    without_text = title.screenshot()
    assert without_text != shown
