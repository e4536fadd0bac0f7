"""Test in a browser the checks before sending: test emails of unsaved text, and link checks."""

import re

from playwright.sync_api import expect

from skymailing.clock import utcnow
from skymailing.models import Reviewer
from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import choose_mode, expect_mode, open_editor
from tests.e2e.mailbox import Mailbox
from tests.e2e.site import Site
from tests.e2e.window import Window


def open_new_text(window: Window, subject: str, body: str) -> None:
    open_editor(window, "/messages/new")
    choose_mode(window, "text")
    expect_mode(window, "text")
    window.fill(subject=subject, body=body)


def test_an_unsaved_text_is_sent_to_the_author_and_a_colleague(site: Site, open_window: OpenWindow) -> None:
    owner = site.add_user()
    with site.open_session() as session:
        session.add(
            Reviewer(
                owner_id=owner.id,
                address="boss@shop.example",
                address_key="boss@shop.example",
                confirmed_at=utcnow(),
            )
        )
        session.commit()
    window = open_window()
    window.sign_in(owner.email)
    open_new_text(window, "Not saved yet", "Only typed")
    window.page.get_by_label("boss@shop.example").check()
    window.page.get_by_role("button", name="Send test email").click()
    expect(window.page.locator(".test-result")).to_have_text("2 test emails sent.")
    expect(window.page.locator("[name=subject]")).to_have_value("Not saved yet")

    window.wait_until(lambda: has_reply(window), "the mail server's reply")
    for email in (owner.email, "boss@shop.example"):
        assert Mailbox(site, email, window).count() == {"[Test] Not saved yet": 1}


def has_reply(window: Window) -> bool:
    page = window.page.request.get("/messages/test-emails").text()
    return page.count("reply: 250") == 2


def test_links_of_an_unsaved_text_are_checked_by_a_worker(site: Site, open_window: OpenWindow) -> None:
    window = open_window()
    window.sign_in(site.add_user().email)
    open_new_text(window, "Links", "Not for everyone: http://127.0.0.1:8000/admin")
    window.page.get_by_role("button", name="Check links").click()
    result = window.page.locator("[data-link-result]")
    expect(result).to_contain_text(re.compile("Links that do not open: 1 of 1"), timeout=30_000)
    expect(result).to_contain_text("not a public address")
