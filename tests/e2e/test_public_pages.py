"""Test the home page and the blog for visitors."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from skymailing.clock import utcnow
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, DESKTOP_DARK, SCREENS, Screen, Window
from tests.support.factories import ArticleFactory


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_public_pages_fit_every_screen(open_window: OpenWindow, screen: Screen, language: str) -> None:
    window = open_window(screen, language)
    for path in ("/", "/blog/", "/blog/what-sent-really-means", "/auth/login", "/auth/register", "/language"):
        window.open(path)
        assert window.page.locator("html").get_attribute("lang") == language
        window.expect_color_scheme()


def test_the_home_page_shows_totals_and_leads_to_registration(open_window: OpenWindow) -> None:
    window = open_window(DESKTOP)
    window.open("/")
    numbers = [int(text) for text in window.page.locator(".totals strong").all_inner_texts()]
    assert len(numbers) == 3
    assert min(numbers) > 0
    expect(window.page.locator(".article-card")).to_have_count(3)
    window.main.get_by_role("link", name="Create an account").first.click()
    window.page.wait_for_url("**/auth/register")


def test_a_visitor_gets_from_the_home_page_to_an_article_and_back(open_window: OpenWindow) -> None:
    window = open_window(DESKTOP)
    window.open("/")
    window.main.get_by_role("link", name="All articles").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Blog")
    window.main.get_by_role("link", name="What “sent” really means").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("What “sent” really means")
    expect(window.page.locator(".prose h2").first).to_have_text("Sent")
    views = read_view_count(window)
    other = open_window(DESKTOP)
    other.open(window.path)
    assert read_view_count(other) > views
    window.main.get_by_role("link", name="Blog").click()
    window.page.wait_for_url("**/blog/")


def read_view_count(window: Window) -> int:
    return int(window.page.locator("[data-views]").inner_text().replace(",", ""))


def test_the_feed_is_linked_for_programs_and_people(open_window: OpenWindow) -> None:
    window = open_window(DESKTOP)
    window.open("/blog/")
    link = window.page.locator('link[rel="alternate"][type="application/atom+xml"]').get_attribute("href")
    assert window.main.get_by_role("link", name="Feed").get_attribute("href") == link
    feed = window.page.request.get(str(link))
    assert feed.headers["content-type"].startswith("application/atom+xml")
    assert "What “sent” really means" in feed.text()


def test_a_long_blog_is_paginated(open_window: OpenWindow, site: Site) -> None:
    with site.open_session():
        for number in range(14):
            ArticleFactory.create(
                title=f"Old piece {number}", published_at=utcnow() - timedelta(days=900 + number)
            )
    window = open_window(DESKTOP)
    window.open("/blog/")
    expect(window.page.locator(".article-card")).to_have_count(12)
    oldest = window.page.get_by_role("link", name="Old piece 13")
    while not oldest.count():  # other tests may have published articles, too
        with window.page.expect_navigation():
            window.main.get_by_role("link", name="Older articles").click()
    expect(oldest).to_be_visible()
    window.expect_to_fit()


def test_the_chosen_theme_is_remembered(open_window: OpenWindow) -> None:
    window = open_window(DESKTOP_DARK)
    window.open("/")
    dark = window.background()
    window.page.locator("[data-theme-chooser] label[title=Light]").click()
    light = window.background()
    assert light != dark
    window.open("/blog/")
    assert window.background() == light


def test_the_chosen_language_is_remembered(open_window: OpenWindow) -> None:
    window = open_window(DESKTOP)
    window.open("/blog/")
    window.page.get_by_role("link", name="English / Русский").click()
    window.main.get_by_role("button", name="Русский").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Блог")
    window.open("/")
    expect(window.page.locator("html")).to_have_attribute("lang", "ru")


def test_pages_work_without_javascript(open_window: OpenWindow) -> None:
    window = open_window(DESKTOP_DARK, javascript=False)
    for path in ("/", "/blog/", "/blog/what-sent-really-means"):
        response = window.page.goto(path)
        assert response is not None
        assert response.ok
        expect(window.page.get_by_role("heading", level=1)).to_be_visible()
