"""Request the forecast of a mailing, as the form does, and read it."""

from datetime import datetime, timedelta
from typing import Any

import time_machine
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from skymailing.models import (
    Mailing,
    MailingState,
    User,
)
from tests.mailings.pages import mailing_fields, soup, utc_time
from tests.support.factories import (
    MailingFactory,
    MessageFactory,
    count_changes,
    create_run,
)

NOW = utc_time("2026-10-20T12:00")


def preview(browser: FlaskClient, user: User, mailing: Mailing | None = None, **changes: Any) -> TestResponse:
    """Request the forecast for a daily mailing at nine, as the form does while it is filled in."""
    message = mailing.message if mailing else MessageFactory.create(owner=user)
    period = {"starts_at": "2026-10-23T09:00", "ends_at": "2026-10-30T09:00", "periodicity": "daily"}
    fields = mailing_fields(message, **period | changes)
    with time_machine.travel(NOW):
        return browser.post(
            f"/mailings/{mailing.id}/preview" if mailing else "/mailings/preview", data=fields
        )


def list_starts(response: TestResponse) -> list[datetime]:
    """Return the starts listed in the forecast."""
    return [
        datetime.fromisoformat(str(tag["datetime"]))
        for tag in soup(response).select("#forecast-list > li > time:first-child")
    ]


def get_text(response: TestResponse) -> str:
    return " ".join(soup(response).get_text(" ").split())


def add_measured_run(owner: User, per_second: int) -> None:
    """Add a finished run that sent this many letters per second."""
    mailing = MailingFactory.create(owner=owner, state=MailingState.FINISHED)
    run = create_run(mailing, {}, planned=per_second * 100, scheduled_for=NOW - timedelta(days=3))
    with count_changes(run) as changes:
        for second in range(30):
            changes.add("sent", per_second, run.started_at + timedelta(seconds=second))
        for second in range(60, 130, 10):
            changes.add("sent", per_second * 10, run.started_at + timedelta(seconds=second))
