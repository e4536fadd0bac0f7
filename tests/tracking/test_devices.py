"""Count on which devices people click: as sums of a run, and nothing about a person."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.auth.export.account import read_runs
from skymailing.clock import utcnow
from skymailing.mailings import click_devices
from skymailing.models import DeliveryState, Run, User
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.devices import Device, find_device
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import EARLIER_HITS, HITS, NotedHit, decode, note
from skymailing.tracking.machines import Visitor
from tests.mailings.pages import soup
from tests.support.factories import MailingFactory, create_run
from tests.support.servers import RedisServer
from tests.tracking.mailbox import BROWSERS, PHONES
from tests.tracking.runs import add_links, list_letter_ids

NOW = utcnow().replace(microsecond=0)
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
TABLETS = (
    f"Mozilla/5.0 (iPad; CPU OS 12_5_7 like Mac OS X) {SAFARI}",
    f"Mozilla/5.0 (Linux; Android 13; SM-X700) {CHROME} Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 11; KFTRWI) {CHROME} Silk/126.2 like Chrome/126 Safari/537.36",
    "Mozilla/5.0 (Android 14; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0",
)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("agent", "device"),
    [
        *((agent, Device.COMPUTER) for agent in BROWSERS),
        *((agent, Device.PHONE) for agent in PHONES),
        *((agent, Device.TABLET) for agent in TABLETS),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", Device.PHONE),
        ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1) Presto/2.8", Device.PHONE),
        ("Mozilla/5.0 (SmartFridge)", Device.UNKNOWN),
        ("", Device.UNKNOWN),
    ],
)
def test_devices_are_found_by_user_agent(agent: str, device: Device) -> None:
    assert find_device({"User-Agent": agent}) is device


@pytest.mark.one_engine
def test_a_hit_can_be_read_with_and_without_a_device() -> None:
    for device in Device:
        hit = NotedHit(7, 8, 1, 1_700_000_000_000, Visitor.PERSON, device)
        assert decode(hit.encode().encode()) == hit
    assert decode(b"7 8 1 1700000000000 px") is None


@pytest.fixture
def run(session: Session, user: User) -> Run:
    mailing = MailingFactory.create(owner=user, track_clicks=True)
    run = create_run(mailing, {DeliveryState.SENT: 12}, track_clicks=True)
    return add_links(session, run)


@pytest.fixture
def letters(session: Session, run: Run) -> list[int]:
    return list_letter_ids(session, run)


def click(run: Run, letter: int, number: int, later: int, device: Device) -> None:
    note(NotedHit(run.id, letter, number, to_milliseconds(NOW) + later, Visitor.PERSON, device))


def read_devices(session: Session, run: Run) -> tuple[int, int, int, int]:
    session.refresh(run)
    return run.clicked, run.clicked_on_phone, run.clicked_on_tablet, run.clicked_on_computer


def test_a_person_counts_once_with_the_device_of_the_first_click(
    app: Flask, session: Session, run: Run, letters: list[int]
) -> None:
    with app.app_context():
        click(run, letters[0], 1, 0, Device.PHONE)
        click(run, letters[0], 2, 60_000, Device.COMPUTER)
        click(run, letters[1], 1, 0, Device.TABLET)
        click(run, letters[2], 1, 0, Device.UNKNOWN)
        fold_hits(NOW)
        assert read_devices(session, run) == (3, 1, 1, 0)
        click(run, letters[1], 1, 90_000, Device.COMPUTER)
        fold_hits(NOW)
    assert read_devices(session, run) == (3, 1, 1, 0)


def test_a_gateway_counts_on_no_device(app: Flask, session: Session, run: Run, letters: list[int]) -> None:
    with app.app_context():
        for number in range(1, 6):
            click(run, letters[0], number, 200 * number, Device.COMPUTER)
        click(run, letters[1], 1, 0, Device.COMPUTER)
        fold_hits(NOW)
        assert read_devices(session, run) == (1, 0, 0, 1)
        for number in range(2, 6):  # the first click was the beginning of a burst
            click(run, letters[1], number, 200 * number, Device.COMPUTER)
        fold_hits(NOW)
    assert read_devices(session, run) == (0, 0, 0, 0)


@pytest.mark.one_engine
def test_a_person_after_a_gateway_counts_with_their_own_device(
    app: Flask, session: Session, run: Run, letters: list[int]
) -> None:
    with app.app_context():
        for number in range(1, 6):
            click(run, letters[0], number, 200 * number, Device.COMPUTER)
        click(run, letters[0], 1, 8_000, Device.PHONE)
        fold_hits(NOW)
    assert read_devices(session, run) == (1, 1, 0, 0)


@pytest.mark.one_engine
def test_hits_that_an_earlier_version_noted_are_counted(
    app: Flask, session: Session, run: Run, letters: list[int], redis_server: RedisServer
) -> None:
    hit = NotedHit(run.id, letters[0], 1, to_milliseconds(NOW), Visitor.PERSON)
    redis_server.client.rpush(EARLIER_HITS, hit.encode())
    with app.app_context():
        click(run, letters[1], 1, 0, Device.PHONE)
        assert redis_server.client.llen(HITS) == 1
        fold_hits(NOW)
    assert read_devices(session, run) == (2, 1, 0, 0)
    assert not redis_server.client.keys(f"{EARLIER_HITS}*")


@pytest.mark.one_engine
def test_the_page_shows_devices_if_enough_people_clicked(
    browser: FlaskClient, app: Flask, run: Run, letters: list[int]
) -> None:
    page = f"/mailings/runs/{run.id}/clicks"
    with app.app_context():
        for letter in letters[: click_devices.MIN_PEOPLE - 1]:
            click(run, letter, 1, 0, Device.PHONE)
        click(run, letters[-1], 1, 0, Device.UNKNOWN)
        fold_hits(NOW)
        assert not soup(browser.get(page)).select("#devices"), "nine devices are known"
        click(run, letters[-2], 1, 0, Device.COMPUTER)
        fold_hits(NOW)
    (table,) = soup(browser.get(page)).select("#devices tbody")
    rows = [" ".join(row.get_text(" ").split()) for row in table.select("tr")]
    assert rows == ["Phone 9 81.8%", "Computer 1 9.1%", "Unknown device 1 9.1%"]


@pytest.mark.one_engine
def test_the_export_has_devices_if_enough_people_clicked(
    app: Flask, session: Session, user: User, run: Run
) -> None:
    names = ("clicked_on_phone", "clicked_on_tablet", "clicked_on_computer")

    def read() -> list[int | None]:
        session.commit()
        with app.app_context():
            (exported,) = read_runs(user.id)
        return [exported[name] for name in names]

    run.clicked_on_phone = click_devices.MIN_PEOPLE - 1
    assert read() == [None, None, None]
    run.clicked_on_computer = 1
    assert read() == [9, 0, 1]
