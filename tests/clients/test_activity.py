"""Active, quiet and new clients: in the list, on their pages and in segments."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.activity import count_activities
from skymailing.clock import utcnow
from skymailing.delivery.audience.compilation import compile_conditions
from skymailing.delivery.audience.conditions import Not
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import cache
from skymailing.models import Client, Delivery, DeliveryState, Mailing, Run, Segment, User
from tests.clients.pages import find_addresses
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory, DeliveryFactory, MailingFactory, RunFactory, UserFactory
from tests.support.sales import click

LONG_AGO = utcnow() - timedelta(days=400)


@pytest.fixture
def mailing(user: User) -> Mailing:
    mailing: Mailing = MailingFactory.create(owner=user, track_clicks=True)
    return mailing


def add_runs(mailing: Mailing, *days: int, **values: Any) -> list[Run]:
    """Add runs that started so many days ago."""
    times = [utcnow() - timedelta(days=number) for number in days]
    run = {"track_clicks": True} | values
    return [RunFactory.create(mailing=mailing, scheduled_for=at, started_at=at, **run) for at in times]


def add_client(owner: User, name: str, runs: list[Run], **values: Any) -> Client:
    """Add a client who got a letter of each run."""
    client: Client = ClientFactory.create(
        owner=owner, email=f"{name}@example.org", **({"created_at": LONG_AGO} | values)
    )
    for run in runs:
        DeliveryFactory.create(run=run, client=client)
    return client


def click_in(client: Client, run: Run, session: Session, days: int, **values: Any) -> None:
    letter = session.scalars(
        select(Delivery).where(Delivery.run_id == run.id, Delivery.client_id == client.id)
    ).one()
    click(letter, utcnow() - timedelta(days=days), **values)


@pytest.fixture
def people(session: Session, user: User, mailing: Mailing) -> dict[str, Client]:
    """Create clients on both sides of each limit."""
    runs = add_runs(mailing, 170, 100, 60, 30, 10, 5)
    uncounted = add_runs(mailing, 4, 3, track_clicks=False)
    old = add_runs(mailing, 200)
    people = {
        "clicked": add_client(user, "clicked", runs),
        "newcomer-clicked": add_client(user, "newcomer-clicked", runs[-1:], created_at=utcnow()),
        "stopped": add_client(user, "stopped", runs),
        "never": add_client(user, "never", runs[1:]),
        "scanner": add_client(user, "scanner", runs),
        "few": add_client(user, "few", [*runs[2:], *uncounted, *old]),
        "newcomer": add_client(user, "newcomer", runs[-1:], created_at=utcnow() - timedelta(days=29)),
        "silent": add_client(user, "silent", [], created_at=utcnow() - timedelta(days=31)),
    }
    failed = add_client(user, "failed", runs[2:])
    DeliveryFactory.create(run=runs[0], client=failed, state=DeliveryState.FAILED)
    click_in(people["clicked"], runs[1], session, 89)
    click_in(people["newcomer-clicked"], runs[-1], session, 1)
    click_in(people["stopped"], runs[1], session, 91)
    click_in(people["scanner"], runs[-1], session, 1, clicks=0, was_person=False, machine_clicks=2)
    return people


ACTIVE = ["clicked", "newcomer-clicked"]
QUIET = ["never", "scanner", "stopped"]
NEW = ["newcomer"]


def list_names(page: str) -> list[str]:
    return sorted(address.partition("@")[0] for address in find_addresses(page))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(("activity", "names"), [("active", ACTIVE), ("quiet", QUIET), ("new", NEW)])
def test_the_list_and_segments_contain_clients_by_activity(
    app: Flask, session: Session, browser: FlaskClient, user: User, activity: str, names: list[str]
) -> None:
    assert list_names(browser.get(f"/clients/?activity={activity}").text) == names
    condition = {"field": "activity", "op": "is", "value": activity}
    with app.app_context():
        viewpoint = Viewpoint.of(user, utcnow())
        node = read_segment(condition, viewpoint)
        for found, is_inside in ((node, True), (Not(node), False)):
            members = compile_conditions(found, viewpoint)
            addresses = session.scalars(select(Client.email).where(Client.owner_id == user.id, members))
            everyone = set(session.scalars(select(Client.email).where(Client.owner_id == user.id)))
            wanted = {f"{name}@example.org" for name in names}
            assert set(addresses) == (wanted if is_inside else everyone - wanted)


@pytest.mark.usefixtures("people")
def test_no_one_is_called_quiet_if_clicks_are_removed_earlier(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "RETENTION", replace(app.config["RETENTION"], run_details=60))
    assert list_names(browser.get("/clients/?activity=quiet").text) == []
    assert "quiet" not in read_marks(browser.get("/clients/").text).values()
    monkeypatch.setitem(app.config, "RETENTION", replace(app.config["RETENTION"], run_details=90))
    assert list_names(browser.get("/clients/?activity=quiet").text) == QUIET


def read_marks(page: str) -> dict[str, str]:
    """Return the marks of the clients in the list."""
    rows = soup_of(page).select(".client-table tbody tr")
    return {
        row.select(".client-email a")[0].get_text().split("@")[0]: mark.get_text()
        for row in rows
        if (mark := row.select_one(".activity-mark"))
    }


def soup_of(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


def test_each_client_in_the_list_has_a_mark(browser: FlaskClient, people: dict[str, Client]) -> None:
    assert read_marks(browser.get("/clients/").text) == (
        dict.fromkeys(ACTIVE, "active") | dict.fromkeys(QUIET, "quiet") | dict.fromkeys(NEW, "new")
    )
    assert "quiet" in str(soup(browser.get(f"/clients/{people['stopped'].id}")).select_one(".activity-mark"))
    assert soup(browser.get(f"/clients/{people['few'].id}")).select_one(".activity-mark") is None


def test_a_client_s_page_shows_in_how_many_emails_the_client_clicked(
    browser: FlaskClient, people: dict[str, Client]
) -> None:
    clicks = {"clicked": "in 1 of 6 emails", "scanner": "in 0 of 6 emails", "few": "in 0 of 5 emails"}
    for name, text in clicks.items():
        assert f"Clicks {text}" in get_main_text(browser.get(f"/clients/{people[name].id}")), name
    assert "in 0 of" not in get_main_text(browser.get(f"/clients/{people['silent'].id}"))


@pytest.mark.usefixtures("people")
def test_the_numbers_are_loaded_after_the_list(app: Flask, browser: FlaskClient) -> None:
    assert 'data-hx-get="/clients/activity' in browser.get("/clients/").text
    chips = soup_of(browser.get("/clients/activity?q=example&activity=quiet").text).select("a")
    assert [" ".join(chip.get_text().split()) for chip in chips] == ["Active 2", "Quiet 3 Show all", "New 1"]
    assert [chip["href"] for chip in chips[:2]] == [
        "/clients/?q=example&activity=active",
        "/clients/?q=example",
    ]


@pytest.mark.usefixtures("people")
def test_without_counted_clicks_there_is_no_activity(
    session: Session, browser: FlaskClient, mailing: Mailing
) -> None:
    mailing.track_clicks = False
    session.flush()
    page = browser.get("/clients/").text
    assert "activity-" not in page
    assert browser.get("/clients/activity").text == ""
    assert "Activity" not in browser.get("/segments/new").text


@pytest.mark.usefixtures("people")
def test_a_filter_becomes_a_segment_only_once(session: Session, browser: FlaskClient) -> None:
    for _number in range(2):
        page = browser.post("/segments/activity", data={"activity": "quiet"}, follow_redirects=True)
        assert "Activity is quiet" in page.text
    segment = session.scalars(select(Segment)).one()
    assert segment.name == "Quiet clients"
    assert segment.conditions == {"field": "activity", "op": "is", "value": "quiet"}
    assert browser.post("/segments/activity", data={"activity": "x"}).status_code == 400


@pytest.mark.usefixtures("people")
def test_actions_on_all_found_clients_keep_to_the_activity(browser: FlaskClient) -> None:
    data = {"action": "tag", "value": "come back", "all_matching": "1", "activity": "quiet"}
    browser.post("/clients/bulk", data=data)
    assert list_names(browser.get("/clients/?tag=come+back").text) == QUIET


@pytest.mark.usefixtures("people")
def test_other_owners_letters_and_clicks_do_not_count(app: Flask, session: Session, mailing: Mailing) -> None:
    other = UserFactory.create()
    add_client(other, "other", add_runs(MailingFactory.create(owner=other, track_clicks=True), 6, 5, 4, 3, 2))
    with app.app_context():
        cache.clear()
        counts = count_activities(session.get_one(User, other.id), utcnow())
        assert [count and count.number for count in counts.values()] == [0, 1, 0]
