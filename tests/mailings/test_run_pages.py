"""Test what the pages about a part of a run's results say that they are about."""

import pytest
from flask.testing import FlaskClient

from skymailing.models import DeliveryState, User
from tests.mailings.breakdown_pages import path_of
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, create_run


@pytest.mark.one_engine
def test_pages_about_a_run_name_the_mailing_and_the_time(user: User, browser: FlaskClient) -> None:
    run = create_run(
        MailingFactory.create(owner=user, name="Sale"), {DeliveryState.SENT: 5}, track_clicks=True
    )
    user.timezone = "UTC"
    about = f"Sale · Send of {run.scheduled_for:%-d %b %Y, %H:%M}"
    log = f"/mailings/{run.mailing_id}/log?run={run.id}"
    for path in (path_of(run), f"/mailings/runs/{run.id}/clicks", log):
        (lead,) = soup(browser.get(path)).select(".page-lead")
        assert " ".join(lead.get_text().split()).startswith(about), path
    (lead,) = soup(browser.get(f"/mailings/runs/{run.id}")).select(".page-lead")
    assert lead.get_text() == "Sale"
