"""Test what an owner learns from clicks: the map of the letter, hours, and segments."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.tracked_links import LinkedPage
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Engagement,
    MessageFormat,
    Run,
    RunLink,
    Segment,
    User,
)
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import NotedHit, note
from skymailing.tracking.machines import Visitor
from tests.conftest import SetLimits
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import ClientFactory, MailingFactory, UserFactory, create_run

LETTERS = 8
BODY = """<p>Dear {{ name }}, <a href="https://shop.example/sale"><b>Sale</b></a> &amp;
<a href="https://shop.example/new">New</a> <a href="https://plain.example/" data-plain>Plain</a>
<a href="{{ unsubscribe_url }}">Unsubscribe</a></p>"""
Click_ = Callable[..., None]


@pytest.fixture
def run(session: Session, user: User) -> Run:
    """Return a run of eight letters with two counted links."""
    run = create_run(
        MailingFactory.create(owner=user, name="Sale"),
        {DeliveryState.SENT: LETTERS},
        track_clicks=True,
        format=MessageFormat.HTML,
        body=BODY,
    )
    for number, name in enumerate(("sale", "new"), start=1):
        session.add(RunLink(run_id=run.id, number=number, url=f"https://shop.example/{name}", label=name))
    session.flush()
    return run


@pytest.fixture
def letters(session: Session, run: Run) -> list[Delivery]:
    return list(session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)))


@pytest.fixture
def click(app: Flask, run: Run) -> Click_:
    """Return a function that clicks on a link in a letter some hours after the start, and folds."""

    def click(letter: Delivery, number: int = 1, hours: float = 0) -> None:
        at = to_milliseconds(run.started_at + timedelta(hours=hours))
        with app.app_context():
            note(NotedHit(run.id, letter.id, number, at, Visitor.PERSON))
            fold_hits(utcnow())

    return click


def path_of(run: Run, page: str = "") -> str:
    return f"/mailings/runs/{run.id}/clicks{page}"


def read_rows(page: BeautifulSoup, table: str) -> list[list[str]]:
    rows = page.select(f"#{table} tbody tr")
    return [[cell.get_text(" ", strip=True) for cell in row.select("th, td")] for row in rows]


def test_people_are_counted_by_hour(
    run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient
) -> None:
    for letter, hours in zip(letters[:6], (0.1, 0.9, 1.1, 3.5, 3.6, 100), strict=True):
        click(letter, 1, hours)
    click(letters[0], 2, 5)  # the same person again
    by_hour = [(row[0], row[2]) for row in read_rows(soup(browser.get(path_of(run))), "hours")]
    assert by_hour[:4] == [("1", "2"), ("2", "1"), ("3", "0"), ("4", "2")]
    assert by_hour[48] == ("49 and later", "1")
    assert sum(int(people) for _hour, people in by_hour) == 6


@pytest.mark.one_engine
def test_the_map_shows_people_next_to_each_counted_link(
    run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient
) -> None:
    for letter in letters[:4]:
        click(letter)
    click(letters[0], 2, 1)
    assert soup(browser.get(path_of(run))).select_one(f'iframe[sandbox][src="{path_of(run, "/letter")}"]')
    response = browser.get(path_of(run, "/letter"))
    policy = response.headers["Content-Security-Policy"]
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    page = BeautifulSoup(response.text, "html.parser")
    badges = {
        badge.find_previous_sibling("a").get_text(): (badge.get_text(), badge["title"])  # type: ignore[union-attr]
        for badge in page.select("span[title]")
    }
    assert badges == {"Sale": ("4 · 100%", "4 people"), "New": ("1 · 25%", "1 person")}
    assert "Unsubscribe" not in page.get_text()
    assert letters[0].email not in response.text
    assert "script" not in response.text


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<a href="https://x.example/">Text</a>.', '<a href="https://x.example/">Text</a>!.'),
        ("<a href=https://x.example/>Open", "<a href=https://x.example/>!Open"),
        (
            '<a href="https://x.example/">1<a href="https://y.example/">2</a>',
            '<a href="https://x.example/">1!<a href="https://y.example/">2</a>!',
        ),
        (
            '<map><area href="https://x.com/"></map>{% if a %}<a href=http://y.com>{{ b }}</A >{% endif %}',
            '<map><area href="https://x.com/">!</map>{% if a %}<a href=http://y.com>{{ b }}</A >!{% endif %}',
        ),
        ('<a href="mailto:a@x.example">Mail</a>', '<a href="mailto:a@x.example">Mail</a>'),
    ],
)
def test_badges_follow_the_elements_of_links(source: str, expected: str) -> None:
    page = LinkedPage(source)
    assert page.add_after(["!"] * len(page.links)) == expected


@pytest.mark.one_engine
def test_a_broken_letter_and_a_removed_text_have_no_map(
    session: Session, run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient
) -> None:
    click(letters[0])
    run.body = "{% if %}"
    session.flush()
    broken = browser.get(path_of(run, "/letter"))
    assert broken.status_code == 200
    assert broken.mimetype == "text/plain"
    run.details_removed_at, run.body = utcnow(), ""
    session.flush()
    page = browser.get(path_of(run))
    assert not soup(page).select("iframe")
    assert "The text of the email is no longer kept, so there is no map." in get_main_text(page)
    assert browser.get(path_of(run, "/letter")).status_code == 404


def test_a_segment_of_those_who_clicked_and_of_those_who_did_not(
    session: Session, user: User, run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient
) -> None:
    for letter in letters[:3]:
        click(letter)
    ClientFactory.create(owner=user)  # did not get the mailing
    for which, name, count in (("yes", "Clicked in “Sale”", 3), ("no", "Did not click in “Sale”", 5)):
        for _time in range(2):  # the second click opens the same segment
            response = browser.post(path_of(run, "/segment"), data={"clicked": which})
            assert response.status_code == 302
        segment = session.scalars(select(Segment).where(Segment.name == name)).one()
        assert response.headers["Location"] == f"/segments/{segment.id}"
        page = browser.get(response.headers["Location"])
        assert f"{count} of {LETTERS + 1} clients" in get_main_text(page)
    assert browser.post(path_of(run, "/segment"), data={"clicked": "maybe"}).status_code == 400


@pytest.mark.one_engine
def test_a_reached_limit_of_segments_is_explained(
    run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient, set_limits: SetLimits
) -> None:
    click(letters[0])
    browser.post(path_of(run, "/segment"), data={"clicked": "no"})
    set_limits(segments=1)
    response = browser.post(path_of(run, "/segment"), data={"clicked": "yes"}, follow_redirects=True)
    assert response.status_code == 200
    assert response.request.path == path_of(run)
    assert soup(response).select(".flash-danger")


def test_segments_can_find_recent_clicks_and_none_for_half_a_year(
    session: Session, user: User, run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient
) -> None:
    click(letters[0])
    old = create_run(
        MailingFactory.create(owner=user),
        {DeliveryState.SENT: 1},
        track_clicks=True,
        started_at=utcnow() - timedelta(days=200),
    )
    (letter,) = session.scalars(select(Delivery).where(Delivery.run_id == old.id))
    about = {"run_id": old.id, "delivery_id": letter.id, "mailing_id": old.mailing_id}
    session.add(Engagement(clicks=1, first_click_at=to_milliseconds(old.started_at), **about))
    session.flush()

    def save(op: str, value: str) -> str:
        conditions = f'{{"field": "mailing", "op": "{op}", "value": {value}}}'
        saved = browser.post("/segments/new", data={"name": op, "conditions": conditions})
        return get_main_text(browser.get(saved.headers["Location"]))

    lately = save("clicked", '{"last": 5}')
    assert "Clicked a link in one of the last 5 mailings" in lately
    assert f"2 of {LETTERS + 1} clients" in lately
    nothing = save("not_clicked", '{"days": 180}')
    assert "Did not click in any mailing of the last 180 days" in nothing
    assert f"{LETTERS} of {LETTERS + 1} clients" in nothing, "old clicks do not count"


def test_people_are_named_only_if_they_are_the_owners_clients(
    session: Session, run: Run, letters: list[Delivery], click: Click_, browser: FlaskClient
) -> None:
    own, other = letters[:2]
    session.get_one(Client, own.client_id).full_name = "Анна"
    other.client_id = ClientFactory.create(owner=UserFactory.create(), full_name="Boris").id
    session.flush()
    for letter in (own, other):
        click(letter)
    people = soup(browser.get(path_of(run))).select_one("#people")
    assert people is not None
    assert "Анна" in people.text
    assert other.email in people.text
    assert "Boris" not in people.text
