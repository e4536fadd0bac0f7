"""Test that the logs show every attempt, on pages and in CSV files."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import Mailing, Outcome, Run, User
from tests.conftest import SignIn
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import (
    AttemptFactory,
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    UserFactory,
)

COLUMNS = ["time", "mailing", "run", "email", "attempt", "outcome", "code", "answer"]


@pytest.fixture
def mailing(user: User) -> Mailing:
    mailing: Mailing = MailingFactory.create(owner=user, name="Осень")
    return mailing


def add_attempt(mailing: Mailing, email: str, **values: object) -> int:
    run: Run = RunFactory.create(mailing=mailing, scheduled_for=utcnow())
    client = ClientFactory.create(owner=mailing.owner, email=email)
    delivery = DeliveryFactory.create(run=run, client=client)
    AttemptFactory.create(delivery=delivery, **values)
    return run.id


def find_addresses(response: TestResponse) -> list[str]:
    assert response.status_code == 200
    return [link.text for link in soup(response).select("tbody td a[href*='/clients/']")]


def read_rows(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_an_attempt_is_shown_with_the_servers_reply(browser: FlaskClient, mailing: Mailing) -> None:
    add_attempt(mailing, "anna@example.com", code=451, answer="4.3.0 <try> later", outcome=Outcome.DEFERRED)
    for url in (f"/mailings/{mailing.id}/log", "/logs/"):
        text = get_main_text(browser.get(url))
        for part in ("anna@example.com", "deferred", "451", "4.3.0 <try> later"):
            assert part in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"code": 250, "answer": "2.0.0 queued as 1"}, "accepted by the mail server"),
        ({"code": 552, "answer": "5.2.2 over quota", "outcome": Outcome.FAILED}, "mailbox full"),
        ({"code": 550, "answer": "5.1.1 user unknown", "outcome": Outcome.FAILED}, "address does not exist"),
    ],
)
def test_a_reply_is_explained_in_words(
    browser: FlaskClient, mailing: Mailing, values: dict[str, object], words: str
) -> None:
    add_attempt(mailing, "anna@example.com", **values)
    reply = soup(browser.get("/logs/")).select_one(".reply")
    assert reply is not None
    assert reply.select_one("summary").text == words  # type: ignore[union-attr]
    assert reply.select_one(".answer").text == f"{values['code']} {values['answer']}"  # type: ignore[union-attr]


def test_the_log_is_paginated_newest_first(browser: FlaskClient, mailing: Mailing) -> None:
    for number in range(60):
        add_attempt(mailing, f"client{number:02}@example.com")
    first = browser.get("/logs/")
    (link,) = soup(first).select("a[rel=next]")
    second = browser.get(str(link["href"]))
    expected = [f"client{number:02}@example.com" for number in reversed(range(60))]
    assert find_addresses(first) + find_addresses(second) == expected


def test_times_are_local_on_the_page_and_utc_in_the_file(sign_in: SignIn, session: Session) -> None:
    owner = UserFactory.create(timezone="Asia/Vladivostok")
    mailing = MailingFactory.create(owner=owner)
    add_attempt(mailing, "a@example.com", at=datetime(2026, 5, 1, 20, 30, 5, tzinfo=UTC))
    browser = sign_in(owner)
    assert "2 May 2026, 06:30" in get_main_text(browser.get("/logs/"))
    (row,) = read_rows(browser.get("/logs/log.csv"))
    assert row["time"] == "2026-05-01T20:30:05.000Z"
    assert find_addresses(browser.get("/logs/?since=2026-05-02&until=2026-05-02")) == ["a@example.com"]
    assert find_addresses(browser.get("/logs/?until=2026-05-01")) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("outcome=failed", ["boris@example.org"]),
        ("q=ANNA", ["anna@example.com"]),
        ("q=%25", []),
        ("q=%00anna", ["anna@example.com"]),
        ("outcome=", ["boris@example.org", "anna@example.com"]),
        ("outcome=sent&q=example.org", []),
    ],
)
def test_filters_apply_to_the_page_and_the_file(
    browser: FlaskClient, mailing: Mailing, query: str, expected: list[str]
) -> None:
    add_attempt(mailing, "anna@example.com")
    add_attempt(mailing, "boris@example.org", outcome=Outcome.FAILED, code=550)
    for page, file in [
        ("/logs/", "/logs/log.csv"),
        (f"/mailings/{mailing.id}/log", f"/mailings/{mailing.id}/log.csv"),
    ]:
        assert find_addresses(browser.get(f"{page}?{query}")) == expected
        assert [row["email"] for row in read_rows(browser.get(f"{file}?{query}"))] == expected[::-1]


def test_the_log_is_filtered_by_mailing(browser: FlaskClient, user: User, mailing: Mailing) -> None:
    add_attempt(mailing, "anna@example.com")
    add_attempt(MailingFactory.create(owner=user), "boris@example.com")
    assert find_addresses(browser.get(f"/logs/?mailing={mailing.id}")) == ["anna@example.com"]
    assert find_addresses(browser.get("/logs/?mailing=0")) == ["boris@example.com", "anna@example.com"]


def test_an_invalid_filter_shows_an_error_beside_the_field(browser: FlaskClient, mailing: Mailing) -> None:
    add_attempt(mailing, "anna@example.com")
    for query in ("since=soon", "outcome=lost", "since=2026-05-02&until=2026-05-01", "since=0001-01-01"):
        page = browser.get(f"/logs/?{query}")
        assert page.status_code == 200
        assert soup(page).select(".field-errors"), query
        assert browser.get(f"/logs/log.csv?{query}").status_code == 400


def test_another_owners_attempts_are_not_shown(browser: FlaskClient, mailing: Mailing) -> None:
    other = MailingFactory.create()
    add_attempt(other, "secret@example.com")
    assert "secret@" not in browser.get("/logs/").text
    assert "secret@" not in browser.get("/logs/log.csv").text
    assert browser.get(f"/logs/?mailing={other.id}").status_code == 404
    assert browser.get(f"/logs/log.csv?mailing={other.id}").status_code == 404


def test_the_file_has_the_specified_columns_and_no_formulas(browser: FlaskClient, mailing: Mailing) -> None:
    run_id = add_attempt(
        mailing, "=cmd@example.com", code=550, answer='=HYPERLINK("x")', outcome=Outcome.FAILED, number=2
    )
    add_attempt(mailing, "b@example.com", code=None, answer="", outcome=Outcome.UNKNOWN)
    response = browser.get(f"/mailings/{mailing.id}/log.csv")
    assert "attachment" in response.headers["Content-Disposition"]
    first, second = read_rows(response)
    assert list(first) == COLUMNS
    assert (first["mailing"], first["run"], first["attempt"]) == ("Осень", str(run_id), "2")
    assert (first["email"], first["answer"]) == ("'=cmd@example.com", '\'=HYPERLINK("x")')
    assert (second["outcome"], second["code"]) == ("unknown", "")


def test_a_large_file_is_complete(
    browser: FlaskClient, mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.mailings.log_queries.EXPORT_CHUNK", 7)
    run = RunFactory.create(mailing=mailing)
    for _ in range(22):
        AttemptFactory.create(delivery__run=run, at=utcnow() - timedelta(days=1))
    emails = [row["email"] for row in read_rows(browser.get("/logs/log.csv"))]
    assert len(emails) == len(set(emails)) == 22


def test_an_empty_log_explains_why(browser: FlaskClient, user: User) -> None:
    assert "Nothing has been sent yet" in browser.get("/logs/").text
    assert "No matching attempts" in browser.get("/logs/?q=no-one").text
