"""Test uploading client files and correcting their rejected rows."""

import io
import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.models import Client
from tests.clients.pages import find_errors
from tests.conftest import SignIn
from tests.support.factories import UserFactory


def find_live_url(page: str) -> str:
    """Return the URL that the live part of the page fetches."""
    return str(BeautifulSoup(page, "html.parser").select("#live")[0]["hx-get"])


def upload(browser: FlaskClient, content: bytes, name: str = "clients.csv") -> TestResponse:
    return browser.post("/clients/import", data={"file": (io.BytesIO(content), name)})


def test_a_file_is_imported_and_its_rejected_rows_can_be_corrected(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    content = "E-mail;ФИО;Город\nanna@x.com;Анна;Омск\nbad;=Боб;Томск\n".encode("cp1251")
    location = upload(browser, content, "Клиенты.csv").location
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
    reason = "An e-mail address has an @ sign, as in name@example.com."
    assert f'"3","{reason}","bad","\'=Боб","Томск"' in text
    upload(browser, rejected.replace(b'"bad"', b'"bob@x.com"'))
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
    assert "Choose a file" in find_errors(browser.post("/clients/import", data={}).text)["file"]


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
    location = upload(sign_in(UserFactory.create()), b"email\na@x.com\nbad\n").location
    assert browser.get(location).status_code == 404
    assert browser.get(f"{location}/rejections.csv").status_code == 404


def test_the_example_file_can_be_imported(
    browser: FlaskClient, work: Callable[[], None], session: Session
) -> None:
    upload(browser, browser.get("/clients/import/sample.csv").data)
    work()
    assert session.scalar(select(func.count()).select_from(Client)) == 2
