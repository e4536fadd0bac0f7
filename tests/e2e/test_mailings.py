"""Test a user's mailings in a browser: upcoming runs, results with reasons, and a live forecast."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.clock import utcnow
from skymailing.models import DeliveryState, Mailing, MailingState, Outcome, Periodicity, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import SCREENS, Screen, Window
from tests.support.factories import (
    AttemptFactory,
    DeliveryFactory,
    MailingFactory,
    MessageFactory,
    RunFactory,
    create_clients,
)


def test_failure_reasons_are_two_clicks_away_from_the_list(demo: Window) -> None:
    demo.open("/mailings/")
    row = demo.main.locator("tbody tr", has_text="Weekly digest")
    # The list itself shows the next send and the last result.
    expect(row.locator("[data-label='Start'] .row-next time")).to_be_visible()
    expect(row.locator("[data-label='Delivered']")).to_have_text(re.compile(r"[\d.]+%"))
    expect(row.locator("[data-label='Clicked']")).to_have_text(re.compile(r"[\d.]+%"))
    expect(row.locator("[data-label='Last result']")).to_contain_text(
        re.compile(r"\d+ delivered, \d+ not delivered")
    )

    row.get_by_role("link").click()
    demo.expect_title("Weekly digest")
    expect(demo.main.locator("#next li")).to_have_count(5)

    with_failures = demo.main.locator("#runs li", has_text="not delivered")
    with_failures.first.get_by_role("link").click()
    demo.expect_title(re.compile("Sent "))
    expect(demo.main.locator(".causes li").first).to_contain_text(re.compile(r": \d+"))
    reasons = demo.main.locator("#answers li", has_text="not delivered")
    expect(reasons.first).to_contain_text(re.compile(r"1\s+55[024] 5\."))
    # The count links to the deliveries.
    reasons.first.get_by_role("link").click()
    demo.expect_title(re.compile("Log"))
    assert len(demo.rows()) == 1
    assert "not delivered" in demo.rows()[0]


def test_the_list_explains_why_a_mailing_never_started(demo: Window) -> None:
    demo.open("/mailings/")
    row = demo.main.locator("tbody tr", has_text="How is your mug?")
    expect(row).to_contain_text("The mailing ended before it could start, so nothing was sent.")


@pytest.fixture
def owner(site: Site) -> User:
    """Create a user in Berlin with three clients and a message."""
    owner = site.add_user(timezone="Europe/Berlin")
    with site.open_session():
        create_clients(owner, 3)
        MessageFactory.create(owner=owner, subject="News")
    return owner


def test_the_forecast_is_updated_while_the_form_is_filled_in(
    site: Site, owner: User, open_window: OpenWindow
) -> None:
    window = open_window()
    window.sign_in(owner.email)
    window.open("/mailings/new")
    forecast = window.main.locator("#forecast")
    current = window.main.locator(".form-step.is-current")
    current.locator("[data-next]").click()
    window.fill(message="News", name="Daily")
    current.locator("[data-next]").click()
    window.main.get_by_role("radio", name="At a time that I choose").check()
    window.fill(periodicity="daily", starts_at="2031-10-24T09:00", ends_at="2031-11-24T09:00")
    expect(forecast.locator("li")).to_have_count(5)
    expect(forecast.locator("li").nth(0)).to_contain_text("Fri, 24 Oct 2031, 09:00 UTC+2")
    expect(forecast.locator("li").nth(2)).to_contain_text("Sun, 26 Oct 2031, 09:00 UTC+1")
    expect(forecast.locator("li").nth(4)).to_contain_text("3 clients")

    window.fill(ends_at="2031-10-24T08:00")
    expect(forecast).to_contain_text("The end must be after the start.")
    window.fill(ends_at="2031-10-25T08:00")
    expect(forecast.locator("li")).to_have_count(1)

    window.main.locator("summary", has_text="Only on certain days or at certain hours").click()
    window.main.get_by_role("checkbox", name="Monday").check()
    expect(forecast).to_contain_text("no sending hours are left before the end")
    expect(forecast).to_contain_text("Not enough time: about 3 emails")
    window.expect_to_fit()
    window.main.get_by_role("checkbox", name="Monday").uncheck()
    expect(forecast).not_to_contain_text("Not enough time")
    current.locator("[data-next]").click()

    window.main.get_by_role("button", name="Schedule for 24 Oct 2031, 09:00").click()
    window.expect_title("Daily")
    expect(window.main.locator("#next li")).to_have_count(1)
    with site.open_session() as session:
        saved = session.scalars(select(Mailing).where(Mailing.owner_id == owner.id)).one()
        assert saved.next_run_at is not None
        assert saved.next_run_at.isoformat() == "2031-10-24T07:00:00+00:00"


def test_without_javascript_a_button_checks_the_form(
    site: Site, owner: User, open_window: OpenWindow
) -> None:
    window = open_window(javascript=False)
    window.sign_in(owner.email)
    window.open("/mailings/new")
    window.main.locator("[name=message]").select_option("News")
    window.main.locator("[name=periodicity]").select_option("weekly")
    window.main.locator("summary", has_text="End of the mailing").click()
    for name, value in {"name": "W", "starts_at": "2031-10-24T09:00", "ends_at": "2032-01-01T00:00"}.items():
        window.main.locator(f"[name={name}]").fill(value)
    window.main.get_by_role("button", name="Check without saving").click()
    expect(window.main.locator("#forecast li")).to_have_count(5)
    expect(window.main.locator("[name=ends_at]")).to_have_value("2032-01-01T00:00")
    with site.open_session() as session:
        assert session.scalars(select(Mailing).where(Mailing.owner_id == owner.id)).all() == []


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_mailing_pages_fit_every_screen(
    site: Site, open_window: OpenWindow, screen: Screen, language: str
) -> None:
    owner = site.add_user(locale=language)
    start = utcnow() - timedelta(days=3)
    with site.open_session():
        create_clients(owner, 2)
        mailing = MailingFactory.create(
            owner=owner,
            state=MailingState.SCHEDULED,
            periodicity=Periodicity.DAILY,
            starts_at=start,
            next_run_at=utcnow() + timedelta(days=1),
            ends_at=utcnow() + timedelta(days=30),
        )
        run = RunFactory.create(mailing=mailing, planned=1)
        letter = DeliveryFactory.create(run=run, state=DeliveryState.FAILED)
        reply = "5.7.1 " + "refused-by-a-policy-with-a-very-long-name " * 4
        AttemptFactory.create(delivery=letter, outcome=Outcome.FAILED, code=550, answer=reply, at=start)
    window = open_window(screen)
    window.sign_in(owner.email)
    for path in (
        "/mailings/",
        "/mailings/new",
        f"/mailings/{mailing.id}",
        f"/mailings/{mailing.id}/edit",
        f"/mailings/runs/{run.id}",
        f"/mailings/{mailing.id}/log",
        "/reports/",
        f"/reports/?mailing={mailing.id}",
    ):
        window.open(path)
        assert window.page.locator("html").get_attribute("lang") == language
        window.expect_color_scheme()


def test_the_last_step_cannot_be_reached_with_a_wrong_time(owner: User, open_window: OpenWindow) -> None:
    window = open_window()
    window.sign_in(owner.email)
    window.open("/mailings/new#step-what")
    current = window.main.locator(".form-step.is-current")
    window.fill(message="News", name="Late")
    current.locator("[data-next]").click()
    window.delay_responses("**/mailings/preview")
    window.main.get_by_role("radio", name="At a time that I choose").check()
    window.fill(starts_at="2020-01-01T09:00")
    current.locator("[data-next]").click()
    error = window.main.locator("#starts_at-error")
    expect(error).to_have_text("This time has passed.")
    expect(window.main.locator("#starts_at")).to_be_focused()
    expect(current).to_have_attribute("data-step", "when")

    window.main.locator(".form-steps").get_by_text("Check and start").click()
    expect(current).to_have_attribute("data-step", "when")

    window.main.locator("summary", has_text="End of the mailing").click()
    window.fill(starts_at="2031-01-02T09:00", ends_at="2031-01-01T09:00")
    expect(window.main.locator("#ends_at-error")).to_have_text("The end must be after the start.")
    expect(error).to_be_empty()
    window.fill(ends_at="2031-01-03T09:00")
    current.locator("[data-next]").click()
    expect(current).to_have_attribute("data-step", "check")
    expect(window.main.get_by_role("button", name="Schedule for 2 Jan 2031, 09:00")).to_be_visible()

    # On a slow connection, the button that described the earlier start cannot be pressed.
    window.main.locator(".form-steps").get_by_text("When").click()
    window.main.get_by_role("radio", name="Right away").check()
    expect(window.main.locator("#starts_at")).to_have_value("")
    current.locator("[data-next]").click()
    expect(current).to_have_attribute("data-step", "check")
    expect(window.main.get_by_role("button", name="Schedule for")).to_be_disabled()
    expect(window.main.get_by_role("button", name=re.compile(r"Send to \d+ clients? now"))).to_be_enabled()


def test_boxes_checked_while_a_response_is_pending_are_kept(
    site: Site, owner: User, open_window: OpenWindow
) -> None:
    """The responses replace the list of clients, but the person's last action wins."""
    with site.open_session():
        first, second, *_ = create_clients(owner, 5, full_name="Slow line")
    window = open_window()
    window.sign_in(owner.email)
    window.open("/mailings/new")
    chosen, boxes = window.main.locator("#picker-chosen"), window.main.locator("#picker-results")
    window.page.locator("[name=audience][value=selected]").check()
    window.delay_responses("**/mailings/new*")

    window.page.locator("#pick-all").click()
    boxes.locator(f"#client-{first.id}").check()
    boxes.locator(f"#client-{first.id}").uncheck()
    expect(chosen).to_have_text("7 selected")  # after "8 selected", which may be too brief to be seen
    expect(boxes.locator(f"#client-{first.id}")).not_to_be_checked()

    # The list in the response does not contain the second client.
    window.page.locator("#client_query").press_sequentially("unknown")
    boxes.locator(f"#client-{second.id}").uncheck()
    expect(boxes).to_contain_text("No clients match")
    expect(chosen).to_have_text("6 selected")

    # Two actions in quick succession are performed one after the other.
    window.page.locator("#client_query").fill("slow")
    window.page.locator("#client_query").press("Tab")
    window.page.locator("#pick-none").click()
    expect(boxes.locator("li")).to_have_count(5)
    expect(chosen).to_have_text("0 selected")
