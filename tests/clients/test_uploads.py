"""Test uploading client files and correcting their rejected rows."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.models import (
    Client,
    ClientImport,
    ClientUpload,
    Consent,
    ConsentText,
    Suppression,
    User,
)
from tests.clients.pages import find_errors
from tests.conftest import SignIn
from tests.support.factories import UserFactory
from tests.support.imports import import_file, read_form, upload


def find_live_url(page: str) -> str:
    """Return the URL that the live part of the page fetches."""
    return str(BeautifulSoup(page, "html.parser").select("#live")[0]["data-hx-get"])


def test_a_file_is_imported_and_its_rejected_rows_can_be_corrected(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    content = "E-mail;ФИО;Город\nanna@x.com;Анна;Омск\nbad;=Боб;Томск\n".encode("cp1251")
    location = import_file(browser, content, "Клиенты.csv").location
    assert location is not None
    assert re.fullmatch(r"/clients/imports/\d+", location)
    waiting = browser.get(location).text
    htmx = {"HX-Request": "true"}
    fragment = browser.get(find_live_url(waiting), headers=htmx).text
    next_url = find_live_url(fragment)
    assert browser.get(next_url, headers=htmx).status_code == 204, "nothing has changed"
    work()
    assert 'id="created">1<' in browser.get(next_url, headers=htmx).text
    page = browser.get(location).text
    assert "Клиенты.csv" in page
    assert "{{ client.город }}" in page
    assert "has an @ sign" in page
    assert "hx-get" not in page, "a finished import is not polled"
    fragment = browser.get(location, headers={"HX-Request": "true"}).text
    assert "<html" not in fragment
    assert 'id="rejected">1<' in fragment
    rejected = browser.get(f"{location}/rejections.csv").data
    text = rejected.decode("utf-8-sig")
    assert text.splitlines()[0] == '"rejected_line","rejected_reason","E-mail","ФИО","Город"'
    reason = "An email address has an @ sign, as in name@example.com."
    assert f'"3","{reason}","bad","\'=Боб","Томск"' in text
    import_file(browser, rejected.replace(b'"bad"', b'"bob@x.com"'))
    work()
    bob = session.scalar(select(Client).where(Client.email == "bob@x.com"))
    assert bob is not None
    assert (bob.full_name, bob.attributes) == ("=Боб", {"город": "Томск"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "The file is empty"), ("Город;Телефон\nОмск;1\n".encode(), "“Город”, “Телефон”")],
)
def test_an_unusable_file_shows_the_reason_beside_the_field(
    browser: FlaskClient, content: bytes, expected: str
) -> None:
    assert expected in find_errors(upload(browser, content).text)["file"]


def test_a_missing_file_is_reported(browser: FlaskClient) -> None:
    errors = find_errors(browser.post("/clients/import", data={}).text)
    assert "Choose a file, or paste a list." in errors["file"]


@pytest.mark.parametrize(
    ("pasted", "people"),
    [
        ("anna@x.com\nbob@x.com\n", {"anna@x.com": "", "bob@x.com": ""}),
        ("Anna <anna@x.com>, bob@x.com; \n", {"anna@x.com": "Anna", "bob@x.com": ""}),
        (
            "Stone, Anna <anna@x.com>; Reed, Bob <bob@x.com>;\n",
            {"anna@x.com": "Stone, Anna", "bob@x.com": "Reed, Bob"},
        ),
        ("bob@x.com, Anna\xa0Stone <anna@x.com>\xa0\n", {"anna@x.com": "Anna Stone", "bob@x.com": ""}),
        ("1. Anna Stone anna@x.com\n2. bob@x.com - Bob\n", {"anna@x.com": "Anna Stone", "bob@x.com": "Bob"}),
        ("To: anna@x.com, Dr. bob@x.com\n", {"anna@x.com": "", "bob@x.com": "Dr."}),
        ('"Stone, Anna",anna@x.com\n', {"anna@x.com": "Stone, Anna"}),
        ("Email\tName\nanna@x.com\tAnna\n", {"anna@x.com": "Anna"}),
        ("Anna\tanna@x.com\t12\nBob\tbob@x.com\t7\n", {"anna@x.com": "Anna", "bob@x.com": "Bob"}),
    ],
)
def test_a_pasted_list_is_imported(
    browser: FlaskClient,
    work: Callable[[], None],
    session: Session,
    pasted: str,
    people: dict[str, str],
) -> None:
    mapping = browser.post("/clients/import", data={"pasted": pasted}, follow_redirects=True)
    browser.post(mapping.request.path, data=read_form(mapping.text))
    work()
    assert dict(session.execute(select(Client.email, Client.full_name)).tuples().all()) == people


@pytest.mark.parametrize(
    "pasted", ["(" * 2000 + ")" * 2000, ":" * 9000, "@" * 200_000, "a@x.com\0", "PK\3\4"]
)
def test_an_odd_pasted_list_causes_no_error(browser: FlaskClient, pasted: str) -> None:
    assert browser.post("/clients/import", data={"pasted": pasted}).status_code in {200, 302}


def test_a_pasted_list_without_addresses_is_reported(browser: FlaskClient) -> None:
    page = browser.post("/clients/import", data={"pasted": "Anna\nBob"}).text
    assert "Anna" in find_errors(page)["pasted"]


def test_a_file_that_is_too_large_shows_a_friendly_page(browser: FlaskClient) -> None:
    response = browser.post(
        "/clients/import",
        data=b"x" * (33 * 1024 * 1024),
        content_type="multipart/form-data; boundary=b",
        headers={"Accept": "text/html"},
    )
    assert response.status_code == 413
    assert "too large" in response.text


def test_another_users_import_is_not_found(browser: FlaskClient, sign_in: SignIn) -> None:
    location = import_file(sign_in(UserFactory.create()), b"email\na@x.com\nbad\n").location
    assert browser.get(location).status_code == 404
    assert browser.get(f"{location}/rejections.csv").status_code == 404


def test_the_example_file_can_be_imported(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    import_file(browser, browser.get("/clients/import/sample.csv").data)
    work()
    assert session.scalar(select(func.count()).select_from(Client)) == 2


def test_the_mapping_step_shows_values_and_can_be_changed(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    content = b"Contact,Town,Mail\nAnna,Omsk,a@x.com\nBob,Tomsk,b@x.com\n"
    page = browser.get(str(upload(browser, content).location)).text
    assert all(value in page for value in ("Omsk", "Tomsk", "{{ client.town }}"))
    values = read_form(page)
    assert (values["field-0"], values["field-1"], values["field-2"]) == ("full_name", "attribute", "email")
    import_file(browser, content, field_0="attribute", field_1="comment")
    work()
    rows = session.execute(select(Client.full_name, Client.comment, Client.attributes)).all()
    assert sorted(map(tuple, rows)) == [("", "Omsk", {"contact": "Anna"}), ("", "Tomsk", {"contact": "Bob"})]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"field_0": "skip"}, "Choose the column with the email addresses"),
        ({"field_1": "email"}, "Two columns have the same meaning"),
    ],
)
def test_a_contradictory_mapping_is_rejected(
    browser: FlaskClient, session: Session, changes: dict[str, str], expected: str
) -> None:
    response = import_file(browser, b"email,name\na@x.com,Anna\n", **changes)
    assert expected in response.text
    assert session.scalar(select(func.count()).select_from(ClientImport)) == 0


def test_the_owner_chooses_between_similar_encodings(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    content = "email,name\na@x.com,илья\n".encode("koi8-r")
    location = str(upload(browser, content).location)
    page = browser.get(location).text
    assert "Which text looks right?" in page
    assert "a@x.com,илья" in page
    again = browser.post(location, data=read_form(page) | {"encoding": "cp1251", "again": "1"}).text
    assert read_form(again)["encoding"] == "cp1251"
    browser.post(location, data=read_form(again) | {"encoding": "koi8-r"})
    work()
    assert session.scalars(select(Client.full_name)).all() == ["илья"]


def test_an_encoding_that_does_not_fit_keeps_the_page_usable(browser: FlaskClient) -> None:
    location = str(upload(browser, b"email,name\na@x.com,Anna\n").location)
    response = browser.post(location, data={"encoding": "utf-16", "again": "1"})
    assert "No column with email addresses found" in response.text
    assert "Anna" in response.text


def test_an_export_of_another_program_is_named_and_imported_with_one_click(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    content = b"Email Address,First Name,UNSUB_TIME,LEID\ngone@x.com,Gone,2021-05-06 07:08:09,1\n"
    page = browser.get(str(upload(browser, content).location)).text
    assert "This file was exported from Mailchimp" in page
    location = import_file(browser, content).location
    work()
    assert 'id="suppressed">1<' in browser.get(location).text
    assert session.scalars(select(Suppression.email_key)).all() == ["gone@x.com"]


def test_the_consent_text_is_stored_with_the_import_and_each_client(
    browser: FlaskClient, work: Callable[[], None], session: Session, user: User
) -> None:
    content = (
        b"Email Address,OPTIN_TIME,CONFIRM_TIME,CONFIRM_IP,LEID\n"
        b"a@x.com,2020-01-01 00:00:00,2020-01-02 03:04:05,192.0.2.7,1\nb@x.com,,,,2\n"
    )
    import_file(browser, content, consent="Ordered in our shop")
    work()
    assert session.scalars(select(ClientImport.consent_text)).all() == ["Ordered in our shop"]
    rows = session.execute(
        select(Consent.email_key, Consent.ip, ConsentText.text, Consent.at).join(ConsentText)
    ).all()
    assert sorted(row[:3] for row in map(tuple, rows)) == [
        ("a@x.com", "192.0.2.7", "Ordered in our shop"),
        ("b@x.com", "", "Ordered in our shop"),
    ]
    assert datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC) in {row.at for row in rows}
    client = session.scalars(select(Client).where(Client.email == "a@x.com")).one()
    assert "Ordered in our shop" in browser.get(f"/clients/{client.id}").text


def test_uploads_that_are_never_confirmed_are_deleted(
    app: Flask, browser: FlaskClient, session: Session
) -> None:
    for _number in range(5):
        upload(browser, b"email\na@x.com\n")
    assert session.scalar(select(func.count()).select_from(ClientUpload)) == 3
    with app.app_context():
        jobs.run_sweep(utcnow() + timedelta(hours=25))
    assert session.scalar(select(func.count()).select_from(ClientUpload)) == 0
