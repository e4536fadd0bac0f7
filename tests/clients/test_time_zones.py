"""Test the time zones of clients: how they are written, entered, imported, exported and merged."""

import io

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.cleaning import InvalidValue
from skymailing.clients.columns import recognize_columns
from skymailing.clients.time_zones import clean_timezone
from skymailing.models import Client, ImportRejection, User
from tests.clients.conftest import Import
from tests.mailings.pages import get_field_error, soup
from tests.support.factories import ClientFactory


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("", ""),
        (" europe/moscow ", "Europe/Moscow"),
        ("America/New York", "America/New_York"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("utc", "UTC"),
        ("МСК", "Europe/Moscow"),
        ("МСК+4", "Etc/GMT-7"),
        ("МСК−1", "Etc/GMT-2"),
        ("UTC+3", "Etc/GMT-3"),
        ("GMT -05:00", "Etc/GMT+5"),
        ("+0", "UTC"),
        ("UTC+14", "Etc/GMT-14"),
    ],
)  # fmt: skip
def test_zones_are_recognized_as_people_write_them(text: str, zone: str) -> None:
    assert clean_timezone(text) == zone


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "text", ["Mars/Olympus", "localtime", "Factory", "UTC+15", "UTC-13", "../etc/passwd", "x" * 100, "+3:30"]
)
def test_other_texts_are_no_zones(text: str) -> None:
    with pytest.raises(InvalidValue, match="client_unknown_timezone"):
        clean_timezone(text)


@pytest.mark.one_engine
def test_the_page_of_a_client_shows_and_changes_the_zone(
    browser: FlaskClient, session: Session, user: User
) -> None:
    client = ClientFactory.create(owner=user, email="a@x.com", timezone="Etc/GMT-3")
    edit = f"/clients/{client.id}/edit"
    selected = soup(browser.get(edit)).select_one("#timezone option[selected]")
    assert selected is not None
    assert selected["value"] == "Etc/GMT-3"
    browser.post(edit, data={"email": "a@x.com", "timezone": "Asia/Tokyo"})
    session.refresh(client)
    assert client.timezone == "Asia/Tokyo"
    assert "Tokyo (UTC+9)" in browser.get(f"/clients/{client.id}").text
    refused = browser.post(edit, data={"email": "a@x.com", "timezone": "Mars/Olympus"})
    assert get_field_error(refused, "timezone")
    browser.post(edit, data={"email": "a@x.com", "timezone": ""})
    session.refresh(client)
    assert client.timezone == ""


def test_an_import_reads_zones_and_reports_unknown_ones(run: Import, session: Session) -> None:
    import_ = run("email;Часовой пояс\na@x.com;Asia/Omsk\nb@x.com;Mars\nc@x.com;\ne@x.com;UTC+3\na@x.com;\n")
    zones = session.execute(select(Client.email, Client.timezone).order_by(Client.email)).tuples().all()
    assert list(zones) == [
        ("a@x.com", "Asia/Omsk"),
        ("b@x.com", ""),
        ("c@x.com", ""),
        ("e@x.com", "Etc/GMT-3"),
    ]
    assert (import_.created, import_.rejected, import_.rows_done) == (4, 1, 5)
    (rejection,) = session.scalars(select(ImportRejection))
    assert (rejection.line, rejection.reason, rejection.value) == (3, "unknown_timezone", "b@x.com,Mars")


def test_an_import_keeps_the_zone_if_the_cell_is_empty(run: Import, session: Session, user: User) -> None:
    client = ClientFactory.create(owner=user, email="a@x.com", timezone="Asia/Omsk")
    run("email,timezone\na@x.com,\n")
    session.refresh(client)
    assert client.timezone == "Asia/Omsk"
    run("email,tz\na@x.com,Asia/Tomsk\n")
    session.refresh(client)
    assert client.timezone == "Asia/Tomsk"


def test_an_export_can_be_imported_again(
    browser: FlaskClient, run: Import, session: Session, user: User
) -> None:
    client = ClientFactory.create(
        owner=user, email="a@x.com", timezone="Asia/Omsk", attributes={"timezone": "old", "city": "Омск"}
    )
    exported = browser.get("/clients/export").get_data(as_text=True)
    header = exported.splitlines()[0].lstrip("\ufeff")
    assert header == '"email","full_name","comment","tags","timezone","city","timezone"'
    client.timezone, client.attributes = "", {}
    session.flush()
    run(exported)
    session.refresh(client)
    assert (client.timezone, client.attributes) == ("Asia/Omsk", {"timezone": "old", "city": "Омск"})


@pytest.mark.one_engine
def test_an_export_of_an_earlier_version_has_no_zones() -> None:
    columns = recognize_columns(["email", "full_name", "comment", "tags", "city"])
    assert columns.timezone is None
    assert list(columns.attributes.values()) == ["city"]


def test_a_merge_fills_the_zone_and_undo_takes_it_back(
    browser: FlaskClient, session: Session, user: User
) -> None:
    kept = ClientFactory.create(owner=user, email="kept@x.com")
    removed = ClientFactory.create(owner=user, email="removed@x.com", timezone="Asia/Omsk")
    data = {"other": kept.id, "keep": kept.id}
    page = browser.post(f"/clients/{removed.id}/merge", data=data, follow_redirects=True)
    session.refresh(kept)
    assert kept.timezone == "Asia/Omsk"
    form = soup(page).select_one("form[action*='undo']")
    assert form is not None
    browser.post(str(form["action"]))
    session.expire_all()
    zones = session.execute(select(Client.email, Client.timezone).order_by(Client.email)).tuples().all()
    assert list(zones) == [("kept@x.com", ""), ("removed@x.com", "Asia/Omsk")]


@pytest.mark.one_engine
def test_the_sample_file_is_still_accepted(browser: FlaskClient, run: Import, session: Session) -> None:
    run(io.BytesIO(browser.get("/clients/import/sample.csv").data).read().decode("utf-8-sig"))
    assert session.scalars(select(Client.timezone)).all() == ["", ""]
