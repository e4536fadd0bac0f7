"""Test a run's page: its numbers, timeline, refusals and log."""

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.mailings import queries
from skymailing.models import DeliveryState, MailingState, Outcome, Run, RunState, User
from tests.conftest import SignIn
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, create_run

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture
def browser(user: User, sign_in: SignIn) -> FlaskClient:
    return sign_in(user)


@pytest.fixture
def run(session: Session, user: User) -> Run:
    """Create a run of 20 letters in half an hour, five of which were refused for two reasons."""
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, starts_at=START)
    run = create_run(mailing, {}, scheduled_for=START, planned=20)
    for number in range(20):
        at = START + timedelta(minutes=1.5 * number)
        is_failed = number % 4 == 3
        delivery = DeliveryFactory.create(
            run=run,
            state=DeliveryState.FAILED if is_failed else DeliveryState.SENT,
            finished_at=at,
            email=f"client{number}@{'slow' if is_failed else 'fast'}.example",
        )
        refusal = {"outcome": Outcome.FAILED, "code": 550, "answer": f"5.1.1 <{delivery.email}> is unknown"}
        if number == 19:
            refusal |= {"code": 552, "answer": "5.2.2 mailbox full"}
        AttemptFactory.create(delivery=delivery, at=at, **(refusal if is_failed else {}))
    return run


def test_a_runs_counts_add_up_and_replies_are_grouped(browser: FlaskClient, run: Run) -> None:
    page = browser.get(f"/mailings/runs/{run.id}")
    text = get_main_text(page)
    assert "Planned 20 = 0 + 0 + 0 + 15 + 5 + 0 + 0 + 0 + 0" in text
    answers = soup(page).find(id="answers")
    assert answers is not None
    assert [" ".join(line.get_text(" ").split()) for line in answers.find_all("li")] == [
        "not delivered 4 550 5.1.1 … is unknown",
        "not delivered 1 552 5.2.2 mailbox full",
    ]
    domains = soup(page).find(id="domains")
    assert domains is not None
    assert " ".join(domains.get_text(" ").split()) == "Domain not delivered slow.example 5"
    assert "Why emails were not accepted" in text
    assert "Retried, then delivered" not in text


@pytest.mark.parametrize(
    ("others", "is_calm"),
    [
        ({}, True),
        ({DeliveryState.SUPPRESSED: 1}, True),
        ({DeliveryState.FAILED: 1}, False),
        ({DeliveryState.UNKNOWN: 1}, False),
        ({DeliveryState.EXPIRED: 1}, False),
        ({DeliveryState.DEFERRED: 1}, False),
    ],
)
def test_retries_do_not_alarm_if_every_letter_was_delivered(
    browser: FlaskClient, user: User, others: dict[DeliveryState, int], *, is_calm: bool
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, starts_at=START)
    run = create_run(mailing, {DeliveryState.SENT: 2} | others)
    delivery = DeliveryFactory.create(run=run, state=DeliveryState.SENT, email="ann@slow.example")
    run.planned += 1
    retry = {"outcome": Outcome.DEFERRED, "code": 450, "answer": "4.2.0 greylisted"}
    AttemptFactory.create(delivery=delivery, **retry)
    page = soup(browser.get(f"/mailings/runs/{run.id}"))
    (answers,) = page.select("#answers")
    assert "450 4.2.0 greylisted" in " ".join(answers.get_text(" ").split())
    folded = page.select("details#retried:not([open])")
    assert [bool(part.select("#answers, #domains")) for part in folded] == [True] * is_calm
    assert ("Why emails were not accepted" in page.text) is not is_calm


def test_the_timeline_is_a_chart_and_a_table(browser: FlaskClient, run: Run) -> None:
    page = soup(browser.get(f"/mailings/runs/{run.id}"))
    table = page.select_one("details table")
    assert table is not None
    counts = [[int(cell.get_text()) for cell in row.select("td")] for row in table.select("tbody tr")]
    assert [sum(column) for column in zip(*counts, strict=True)] == [15, 5]
    assert len(counts) > 5
    (figure,) = page.select("figure[data-chart-of]")
    assert figure["data-chart-of"] == table["id"]


def test_a_runs_log_shows_only_its_attempts(browser: FlaskClient, user: User, run: Run) -> None:
    other = create_run(run.mailing, {}, scheduled_for=START + timedelta(days=1))
    AttemptFactory.create(delivery__run=other, delivery__email="later@fast.example")
    log = f"/mailings/{run.mailing_id}/log"
    assert "later@fast.example" in browser.get(log).text
    page = browser.get(f"{log}?run={run.id}")
    assert "client0@fast.example" in page.text
    assert "later@fast.example" not in page.text
    assert len(browser.get(f"{log}.csv?run={run.id}").text.splitlines()) == 21
    foreign = create_run(MailingFactory.create(owner=user), {})
    assert browser.get(f"{log}?run={foreign.id}").status_code == 404


def test_the_mailing_page_lists_all_runs_including_skipped_ones(
    browser: FlaskClient, user: User, run: Run
) -> None:
    skipped = create_run(run.mailing, {}, scheduled_for=START + timedelta(days=1), state=RunState.SKIPPED)
    page = browser.get(f"/mailings/{run.mailing_id}")
    for listed in (run, skipped):
        assert f'href="/mailings/runs/{listed.id}"' in page.text
    assert "skipped" in get_main_text(browser.get(f"/mailings/runs/{skipped.id}"))
    assert "Planned 20 =" in get_main_text(page), "the last run that was sent"


def test_a_long_list_of_runs_is_paginated(
    browser: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SHOWN_RUNS", 2)
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, starts_at=START)
    ids = [
        create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=START + timedelta(days=day)).id
        for day in range(5)
    ]
    url, seen = f"/mailings/{mailing.id}", []
    for _page in range(3):
        page = soup(browser.get(url))
        links = page.select("#runs li a")
        seen += [int(str(link["href"]).rpartition("/")[2]) for link in links]
        older = page.select_one("#runs a[rel=next]")
        url = str(older["href"]) if older else ""
    assert seen == ids[::-1]
    assert not url
