"""Test the columns with a client's last email and last click."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import object_session

from skymailing.models import Click, Client, DeliveryState, Engagement, MailingKind, User
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    UserFactory,
)
from tests.support.statements import record_statements

pytestmark = pytest.mark.both_engines
START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def send(owner: User, client: Client, day: int, clicked: int | None = None, **values: object) -> None:
    """Add an email of this day, and clicks on its first link: one of another day, and later ones."""
    later = cast(dict[str, object], values.pop("later", {}))
    kind = values.pop("kind", MailingKind.MAILING)
    run = RunFactory.create(mailing=MailingFactory.create(owner=owner, kind=kind))
    at = START + timedelta(days=day)
    state = {"state": DeliveryState.SENT, "finished_at": at} | values
    delivery = DeliveryFactory.create(run=run, client=client, **state)
    if clicked is not None:
        moment = int((START + timedelta(days=clicked)).timestamp() * 1000)
        session = object_session(owner)
        assert session is not None
        key = {"delivery_id": delivery.id, "run_id": run.id, "mailing_id": run.mailing_id}
        session.add(Engagement(**key, first_click_at=moment))
        del key["mailing_id"]
        times = {"first_at": moment, "last_at": moment, "was_person": True, "clicks": 1}
        session.add(Click(**key, number=1, **(times | later)))
        session.flush()


def read_cells(browser: FlaskClient) -> dict[str, list[str]]:
    """Return the dates in the two columns by the name of the client."""
    rows = BeautifulSoup(browser.get("/clients/").text, "html.parser").select(".client-table tbody tr")
    return {
        row.select(".client-name")[0].get_text(strip=True): [
            str(time["datetime"])[:10] if (time := cell.find("time")) else cell.text
            for cell in row.select(".client-last")
        ]
        for row in rows
    }


def test_the_list_shows_the_last_email_and_the_last_click(browser: FlaskClient, user: User) -> None:
    anna, boris, _clara = (
        ClientFactory.create(owner=user, full_name=name) for name in ("Anna", "Boris", "Clara")
    )
    send(user, anna, 2, clicked=9)
    send(user, anna, 5)
    send(user, boris, 3)
    # None of these is an email that Boris got.
    send(user, boris, 20, state=DeliveryState.FAILED)
    send(UserFactory.create(), boris, 21, clicked=21)
    send(user, boris, 22, clicked=22, kind=MailingKind.CAUGHT_LETTERS)

    browser.post("/clients/columns", data={"column": ["last_email", "last_click"]})

    assert read_cells(browser) == {
        "Anna": ["2026-03-06", "2026-03-10"],
        "Boris": ["2026-03-04", ""],
        "Clara": ["", ""],
    }


def test_the_last_click_is_a_person_s_in_any_email(browser: FlaskClient, user: User) -> None:
    anna, boris, clara = (
        ClientFactory.create(owner=user, full_name=name) for name in ("Anna", "Boris", "Clara")
    )
    long_after = int((START + timedelta(days=30)).timestamp() * 1000)
    by_machine = {"last_at": long_after, "was_person": False, "machine_clicks": 1}
    send(user, anna, 2, clicked=3, later={"last_at": long_after, "clicks": 2})
    send(user, anna, 5, clicked=6)
    send(user, boris, 2, clicked=3, later=by_machine)
    send(user, clara, 2, clicked=3, later=by_machine | {"clicks": 0})

    browser.post("/clients/columns", data={"column": ["last_email", "last_click"]})

    clicks = {name: cells[1] for name, cells in read_cells(browser).items()}
    assert clicks == {"Anna": "2026-03-31", "Boris": "2026-03-04", "Clara": ""}


def test_letters_are_read_only_for_these_columns(app: Flask, browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user)
    with app.app_context(), record_statements() as statements:
        browser.get("/clients/")
    assert [text for text in statements if "FROM deliveries" in text] == []
