"""Test the home page for visitors and signed-in users."""

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.errors import ConfigurationError
from skymailing.models import Client, DeliveryState, MailingState, User
from skymailing.settings.site import SiteSettings
from tests.support.factories import (
    ArticleFactory,
    ClientFactory,
    MailingFactory,
    MessageFactory,
    UserFactory,
    create_run,
)

# Page texts do not depend on the database.
pytestmark = pytest.mark.one_engine


def find_numbers(page: str) -> list[str]:
    section = page.partition('class="totals"')[2].partition("</section>")[0]
    return [part.partition("</strong>")[0] for part in section.split("<strong>")[1:]]


def test_a_visitor_sees_an_introduction_and_can_register(visitor: FlaskClient) -> None:
    page = visitor.get("/").text

    assert "Every client gets a personal email" in page
    assert 'href="/auth/register"' in page


@pytest.mark.both_engines
def test_the_counters_show_mailings_active_mailings_and_unique_clients(visitor: FlaskClient) -> None:
    now = utcnow()
    owner, other = UserFactory.create(), UserFactory.create()
    ClientFactory.create(owner=owner, email="anna@example.org")
    ClientFactory.create(owner=other, email="Anna@example.org")
    ClientFactory.create(owner=other, email="boris@example.org")
    MailingFactory.create(owner=owner, state=MailingState.RUNNING)
    MailingFactory.create(owner=owner, state=MailingState.SCHEDULED)
    MailingFactory.create(owner=owner, state=MailingState.SCHEDULED, starts_at=now + timedelta(hours=1))
    MailingFactory.create(owner=owner, state=MailingState.RUNNING, disabled_at=now)
    MailingFactory.create(owner=other, state=MailingState.FINISHED)
    MailingFactory.create(owner=UserFactory.create(blocked_at=now), state=MailingState.RUNNING)

    assert find_numbers(visitor.get("/").text) == ["6", "2", "2"]


def test_a_new_installation_shows_no_zeros(visitor: FlaskClient) -> None:
    page = visitor.get("/").text
    assert find_numbers(page) == []
    assert "Who it is for" in page


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_home_page_shows_pictures_in_the_readers_language(visitor: FlaskClient, language: str) -> None:
    page = BeautifulSoup(visitor.get("/", headers={"Accept-Language": language}).text, "html.parser")
    pictures = page.select(".shot img")
    assert len(pictures) == 4, "two pages, each in light and dark"
    for picture in pictures:
        assert f".{language}." in str(picture["src"])
        assert picture["alt"]
        assert visitor.get(str(picture["src"])).mimetype == "image/webp"


def test_the_operator_can_be_reached(
    app: Flask, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "mailto:" not in visitor.get("/").text

    site = SiteSettings("help@example.com", "https://example.com/imprint")
    monkeypatch.setitem(app.config, "SITE", site)

    for path in ("/?new", "/privacy?new"):  # not cached
        page = visitor.get(path).text
        assert 'href="mailto:help@example.com"' in page
        assert 'href="https://example.com/imprint"' in page


@pytest.mark.parametrize(
    ("name", "value"),
    [("SITE_CONTACT", "help"), ("SITE_IMPRINT", "javascript:alert(1)"), ("SITE_IMPRINT", "/a")],
)
def test_unusable_contacts_are_rejected(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        SiteSettings.from_environment({name: value})


def test_signed_in_users_also_see_articles(browser: FlaskClient) -> None:
    slugs = [ArticleFactory.create().slug for _ in range(4)]
    page = browser.get("/").text
    assert sum(f'href="/blog/{slug}"' in page for slug in slugs) == 3


def test_the_newest_of_the_articles_is_the_first(visitor: FlaskClient) -> None:
    days = (2, 3, 1)
    for day in days:
        ArticleFactory.create(title=f"{day} days ago", published_at=utcnow() - timedelta(days=day))
    for _ in range(5):
        page = visitor.get("/").text
        assert sorted(days, key=lambda day: page.index(f"{day} days ago")) == [1, 2, 3]


@pytest.mark.parametrize("count", [1, 2])
def test_all_articles_are_shown_if_there_are_fewer_than_three(visitor: FlaskClient, count: int) -> None:
    slugs = [ArticleFactory.create().slug for _ in range(count)]
    page = visitor.get("/").text
    assert all(page.count(f'href="/blog/{slug}"') == 1 for slug in slugs)


@pytest.mark.both_engines
def test_three_published_articles_are_shown_but_no_drafts(visitor: FlaskClient) -> None:
    slugs = {f"/blog/{ArticleFactory.create().slug}" for _ in range(4)}
    draft = ArticleFactory.create(published_at=None)
    future = ArticleFactory.create(published_at=utcnow() + timedelta(days=1))

    for _ in range(5):
        page = visitor.get("/").text
        assert sum(f'href="{path}"' in page for path in slugs) == 3
        assert draft.slug not in page
        assert future.slug not in page


def test_without_articles_the_home_page_does_not_mention_them(visitor: FlaskClient) -> None:
    assert "From the blog" not in visitor.get("/").text


def test_a_new_user_sees_which_steps_are_done(browser: FlaskClient, user: User) -> None:
    assert browser.get("/").text.count("Done:") == 0

    ClientFactory.create(owner=user)
    MessageFactory.create()  # another user's message does not count

    page = browser.get("/").text
    assert page.count("Done:") == 1
    assert 'href="/clients/import"' not in page.partition('class="step step-done"')[2].partition("</li>")[0]
    assert "Write a message" in page


@pytest.mark.both_engines
def test_a_user_sees_only_their_own_running_and_upcoming_mailings(browser: FlaskClient, user: User) -> None:
    tomorrow = utcnow() + timedelta(days=1)
    running = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    paused = MailingFactory.create(owner=user, state=MailingState.PAUSED)
    later = MailingFactory.create(
        owner=user, state=MailingState.SCHEDULED, starts_at=tomorrow, ends_at=tomorrow + timedelta(days=1)
    )
    finished = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    foreign = MailingFactory.create(state=MailingState.RUNNING)

    page = browser.get("/").text

    sending_now, _, upcoming = page.partition("<h2>Upcoming sends</h2>")
    assert running.name in sending_now
    assert paused.name in sending_now
    assert later.name in upcoming
    assert later.name not in sending_now
    assert finished.name not in page
    assert foreign.name not in page


@pytest.mark.both_engines
def test_a_running_mailing_shows_its_progress(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.SENT: 3, DeliveryState.PENDING: 1})

    page = browser.get("/").text

    assert "75% done" in page
    assert "3 of 4 delivered" in page


def find_step(page: str, name: str) -> str:
    """Return the HTML of a step in the guide; empty if it is not on the page."""
    return page.partition(f'id="step-{name}"')[2].partition("</li>")[0]


def test_a_step_can_be_skipped_and_restored(browser: FlaskClient) -> None:
    assert "Import a file" in find_step(browser.get("/").text, "clients")

    browser.post("/guide", data={"do": "skip", "step": "clients"})
    page = browser.get("/").text
    assert "Restore this step" in find_step(page, "clients")
    assert 'aria-current="step"' in page.partition('id="step-message"')[2][:60]

    browser.post("/guide", data={"do": "restore", "step": "clients"})
    assert "Import a file" in find_step(browser.get("/").text, "clients")


def test_a_skipped_step_counts_as_done_when_its_object_exists(browser: FlaskClient, user: User) -> None:
    browser.post("/guide", data={"do": "skip", "step": "clients"})
    ClientFactory.create(owner=user)
    assert "Done:" in find_step(browser.get("/").text, "clients")


def test_the_guide_can_be_hidden_and_shown(browser: FlaskClient) -> None:
    browser.post("/guide", data={"do": "close"})
    page = browser.get("/").text
    assert find_step(page, "clients") == ""
    assert "Show the getting-started guide" in page

    browser.post("/guide", data={"do": "open"})
    assert find_step(browser.get("/").text, "clients")


def test_the_guide_disappears_when_all_steps_are_skipped_and_can_be_reopened(browser: FlaskClient) -> None:
    for name in ("clients", "message", "mailing"):
        browser.post("/guide", data={"do": "skip", "step": name})
    page = browser.get("/").text
    assert find_step(page, "clients") == ""
    browser.post("/guide", data={"do": "open"})
    assert "Import a file" in find_step(browser.get("/").text, "clients")


def test_the_guide_disappears_when_all_steps_are_done(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user)
    MailingFactory.create(owner=user, message=MessageFactory.create(owner=user))
    page = browser.get("/").text
    assert "getting-started" not in page
    assert find_step(page, "clients") == ""


def test_sending_a_test_letter_is_offered_until_one_has_been_sent(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    assert f'href="/messages/{message.id}"' in find_step(browser.get("/").text, "message")
    browser.post(f"/messages/{message.id}/test")
    assert "Test email sent" in find_step(browser.get("/").text, "message")


def test_users_can_begin_with_their_own_address(browser: FlaskClient, user: User, session: Session) -> None:
    assert "my own address" in find_step(browser.get("/").text, "clients")
    page = browser.post("/guide", data={"do": "add-me"}, follow_redirects=True).text
    assert "You are your first client." in page
    assert "Done:" in find_step(page, "clients")
    assert session.scalars(select(Client.email).where(Client.owner_id == user.id)).all() == [user.email]

    again = browser.post("/guide", data={"do": "add-me"}, follow_redirects=True).text
    assert "already" in again


def test_users_without_a_name_are_asked_for_it(browser: FlaskClient, user: User, session: Session) -> None:
    user.name = ""
    session.flush()
    assert 'id="guide-name"' in browser.get("/").text
    page = browser.post("/guide", data={"do": "name", "name": " Tea\nHouse "}, follow_redirects=True).text
    assert "Hello, Tea House" in page
    assert 'id="guide-name"' not in page


def test_the_guide_offers_designs_until_there_is_a_message(browser: FlaskClient, user: User) -> None:
    assert "/messages/new?starter=" in browser.get("/").text
    MessageFactory.create(owner=user)
    assert "/messages/new?starter=" not in browser.get("/").text


def test_an_unknown_guide_action_is_rejected(browser: FlaskClient) -> None:
    for data in ({"do": "skip"}, {"do": "skip", "step": "everything"}, {"do": "restore"}, {}):
        assert browser.post("/guide", data=data).status_code == 400
