"""Test data export, account deletion and runs without details, at all screen sizes, in both languages."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from skymailing.clock import utcnow
from skymailing.models import DeliveryState, MailingState, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import SCREENS, Screen
from tests.support.factories import PASSWORD, ArticleFactory, MailingFactory, create_clients, create_run


def add_user_with_data(site: Site, language: str) -> tuple[User, list[str]]:
    """Add a user with a run whose details were removed; return the user and the paths of the run's pages."""
    user = site.add_user(locale=language)
    with site.open_session():
        create_clients(user, 3)
        ended = utcnow() - timedelta(days=400)
        mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
        counts = {DeliveryState.SENT: 5, DeliveryState.FAILED: 2}
        removed = {"details_removed_at": ended + timedelta(days=365), "finished_at": ended, "body": ""}
        run = create_run(mailing, counts, started_at=ended, scheduled_for=ended, **removed)
        MailingFactory.create(
            owner=user, state=MailingState.SCHEDULED, starts_at=utcnow() + timedelta(days=1)
        )
        ArticleFactory.create(author=user)
    return user, [f"/mailings/runs/{run.id}", f"/mailings/{mailing.id}/log"]


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_data_can_be_exported_and_account_deletion_cancelled(
    site: Site, open_window: OpenWindow, screen: Screen, language: str
) -> None:
    user, paths = add_user_with_data(site, language)
    window = open_window(screen)
    window.sign_in(user.email)
    for path in (*paths, "/auth/profile", "/auth/profile/delete"):
        window.open(path)
        window.expect_color_scheme()

    window.fill(current_password="not it")
    with window.new_page():
        window.main.locator("button.btn-danger").click()
    window.page.locator(".field-errors").wait_for()
    window.fill(current_password=PASSWORD)
    window.main.locator("button.btn-danger").click()
    window.page.wait_for_url("**/auth/login")
    window.sign_in_on_page(user.email)
    assert window.path == "/auth/profile/leaving"
    window.expect_to_fit()
    with window.page.expect_download() as download:
        window.main.locator("a[download]").click()
    assert download.value.suggested_filename.endswith(".zip")
    with window.new_page():
        window.main.locator("button.btn-primary").click()
    assert window.path == "/"
    window.open("/clients/")


def test_the_time_zone_is_taken_from_the_browser_and_found_by_city_or_country(
    site: Site, open_window: OpenWindow
) -> None:
    user = site.add_user(locale="ru", timezone="Europe/Berlin")
    window = open_window()
    window.open("/auth/register")
    expect(window.main.locator("[name=timezone]")).to_have_value("Europe/Moscow")

    window.sign_in(user.email)
    window.open("/auth/profile")
    zones, search = window.main.locator("#timezone"), window.main.locator("[data-searches]")
    expect(zones.locator("option:checked")).to_have_text(re.compile(r"Берлин \(UTC\+[12]\)"))
    search.fill("новая зел")
    expect(zones.locator("option")).to_have_count(2)
    expect(zones).to_have_value("Pacific/Auckland")
    search.fill("nowhere")
    expect(zones).to_have_value("Europe/Berlin")
    search.fill("екатер")
    window.expect_to_fit()
    with window.new_page():
        search.press("Enter")
    expect(zones).to_have_value("Asia/Yekaterinburg")
    expect(zones.locator("optgroup").first).to_be_attached()
