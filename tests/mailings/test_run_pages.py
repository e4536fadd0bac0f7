"""Test what the pages about a part of a run's results say that they are about."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Delivery, DeliveryState, MailingState, RunState, User
from tests.mailings.breakdown_pages import path_of
from tests.mailings.pages import soup
from tests.support.factories import AttemptFactory, MailingFactory, create_run

pytestmark = pytest.mark.one_engine


def test_pages_about_a_run_name_the_mailing_and_the_time(user: User, browser: FlaskClient) -> None:
    run = create_run(
        MailingFactory.create(owner=user, name="Sale"), {DeliveryState.SENT: 5}, track_clicks=True
    )
    user.timezone = "UTC"
    about = f"Sale · Sent {run.scheduled_for:%-d %b %Y, %H:%M}"
    log = f"/mailings/{run.mailing_id}/log?run={run.id}"
    for path in (path_of(run), f"/mailings/runs/{run.id}/clicks", log):
        (lead,) = soup(browser.get(path)).select(".page-lead")
        assert " ".join(lead.get_text().split()).startswith(about), path
    (lead,) = soup(browser.get(f"/mailings/runs/{run.id}")).select(".page-lead")
    assert lead.get_text() == "Sale"


def test_a_page_shows_four_attempts_and_the_log_has_the_others(
    user: User, browser: FlaskClient, session: Session
) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 6})
    for delivery in session.scalars(select(Delivery).where(Delivery.run_id == run.id)):
        AttemptFactory.create(delivery=delivery)
    for path in (f"/mailings/{run.mailing_id}", f"/mailings/runs/{run.id}"):
        page = soup(browser.get(path))
        assert len(page.select("#attempts > li")) == 4, path
        (link,) = page.select("#attempts + p a")
        assert len(soup(browser.get(str(link["href"]))).select(".log-table tbody tr")) == 6, path


@pytest.mark.parametrize(
    ("state", "buttons", "in_menu"),
    [
        (MailingState.RUNNING, ["pause", "resend-failed"], ["test", "cancel"]),
        (MailingState.PAUSED, ["resume", "resend-failed"], ["test", "cancel"]),
        (MailingState.CANCELLED, ["test"], []),
    ],
)
def test_numbers_come_before_two_buttons_and_a_menu(
    user: User, browser: FlaskClient, state: MailingState, buttons: list[str], in_menu: list[str]
) -> None:
    mailing = MailingFactory.create(owner=user, state=state)
    run_state = RunState.CANCELLED if state is MailingState.CANCELLED else RunState.SENDING
    create_run(mailing, {DeliveryState.SENT: 1, DeliveryState.FAILED: 1}, state=run_state)
    page = soup(browser.get(f"/mailings/{mailing.id}"))
    (bar,) = page.select("dl.outcome ~ .actions-bar")
    found = [str(item["id"]).removeprefix("do-") for item in bar.select("[id^=do-]")]
    hidden = [str(item["id"]).removeprefix("do-") for item in bar.select("details [id^=do-]")]
    assert (found, hidden) == (buttons + in_menu, in_menu)
