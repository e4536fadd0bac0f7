"""Clicks in the letters of an A/B test: machines per variant, and a page and a map for each variant."""

import csv
import io
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.tracked_links import LinkedPage
from skymailing.delivery.run_links import number_links
from skymailing.models import Delivery, DeliveryState, MessageFormat, Run, RunLink, RunVariant, User
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import TRACKING_IMAGE, NotedHit, note
from skymailing.tracking.machines import Visitor
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import MailingFactory, create_tested_run

LINKS = {1: ("sale", "news"), 2: ("sale", "shop", "about")}
Click_ = Callable[..., None]


def write_body(names: tuple[str, ...]) -> str:
    return (
        "<p>Hello " + " ".join(f'<a href="https://shop.example/{name}">{name}</a>' for name in names) + "</p>"
    )


@pytest.fixture
def run(app: Flask, session: Session, user: User) -> Run:
    """Return a run whose variants have other links: two letters of A, three of B, and one that waits."""
    counts = {DeliveryState.SENT: 5, DeliveryState.PENDING: 1}
    run = create_tested_run(MailingFactory.create(owner=user), counts, track_clicks=True, track_opens="day")
    run.format, run.body = MessageFormat.HTML, write_body(LINKS[1])
    for number, names in LINKS.items():
        variant = session.get_one(RunVariant, (run.id, number))
        variant.format, variant.body = MessageFormat.HTML, write_body(names)
        variant.subject = f"Subject {number}"
    session.flush()
    for number, letter in zip((1, 1, 2, 2, 2), list_letters(session, run), strict=False):
        letter.variant = number
    session.flush()
    with app.app_context():
        for number, names in LINKS.items():
            number_links(run.id, LinkedPage(write_body(names)).links, number)
    return run


def list_letters(session: Session, run: Run) -> list[Delivery]:
    return list(session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)))


@pytest.fixture
def click(app: Flask, session: Session, run: Run) -> Click_:
    """Return a function that follows links of a letter, one after another, and folds."""
    letters = [letter.id for letter in list_letters(session, run)]

    def click(letter: int, *numbers: int, pause: int = 10_000) -> None:
        at = to_milliseconds(utcnow())
        with app.app_context():
            for place, number in enumerate(numbers):
                note(NotedHit(run.id, letters[letter], number, at + place * pause, Visitor.PERSON))
            fold_hits(utcnow())
        session.expire_all()

    return click


def path_of(run: Run, page: str = "", variant: int = 0) -> str:
    return f"/mailings/runs/{run.id}/clicks{page}" + (f"?variant={variant}" if variant else "")


def read_links(page: BeautifulSoup) -> dict[str, tuple[str, str]]:
    """Return the people, without their share, and the clicks of each link by its label."""
    rows = [
        [cell.get_text(" ", strip=True) for cell in row.select("td")]
        for row in page.select("#links tbody tr")
    ]
    return {row[0].split()[0]: (row[1].split()[0], row[2]) for row in rows}


def read_badges(browser: FlaskClient, run: Run, variant: int) -> dict[str, str]:
    page = BeautifulSoup(browser.get(path_of(run, "/letter", variant)).text, "html.parser")
    return {
        badge.find_previous_sibling("a").get_text(): badge.get_text()  # type: ignore[union-attr]
        for badge in page.select("span[title]")
    }


def test_links_of_variants_are_stored_with_their_variants(session: Session, run: Run) -> None:
    links = session.scalars(select(RunLink).where(RunLink.run_id == run.id).order_by(RunLink.number)).all()
    assert [(link.label, link.variants) for link in links] == [
        ("sale", 0b11),
        ("news", 0b01),
        ("shop", 0b10),
        ("about", 0b10),
    ]


def test_a_scanner_of_a_variant_with_two_links_is_a_machine(
    session: Session, run: Run, click: Click_
) -> None:
    """The run has four links, so two of them would not be a burst if all variants were counted together."""
    click(0, 1, 2, pause=300)  # all links of A
    click(2, 1, 3, pause=300)  # two of the three links of B
    session.refresh(run)
    assert run.clicked == 1
    assert session.get_one(RunLink, (run.id, 2)).machine_clicks == 1


def test_the_winner_that_the_others_get_has_the_links_of_its_variant(
    session: Session, run: Run, click: Click_
) -> None:
    run.winner = 1
    session.flush()
    click(5, 1, 2, pause=300)
    session.refresh(run)
    assert run.clicked == 0


def test_each_variant_has_its_own_counts_which_add_up(
    session: Session, run: Run, click: Click_, browser: FlaskClient
) -> None:
    run.winner = 2
    session.flush()
    click(0, 1)
    click(1, 1, 2)
    click(2, 1, 3)
    click(5, 3)
    click(5, TRACKING_IMAGE)
    every = read_links(soup(browser.get(path_of(run))))
    a, b = (read_links(soup(browser.get(path_of(run, variant=number)))) for number in (1, 2))
    assert a == {"sale": ("2", "2"), "news": ("1", "1")}
    assert b == {"sale": ("1", "1"), "shop": ("2", "2"), "about": ("0", "0")}
    for label, counts in every.items():
        parts = [part.get(label, ("0", "0")) for part in (a, b)]
        assert counts == tuple(str(sum(int(part[place]) for part in parts)) for place in (0, 1))
    tabs = [
        tab.get_text(" ", strip=True) for tab in soup(browser.get(path_of(run))).select(".variant-tabs a")
    ]
    assert tabs == ["All variants 4", "Variant A 2", "Variant B 2"]
    shown = soup(browser.get(path_of(run, variant=2)))
    assert len(shown.select("#people tbody tr")) == 2
    assert sum(int(row.select("td")[-1].text) for row in shown.select("#hours tbody tr")) == 2
    assert shown.select_one(f'[data-hx-get="/mailings/runs/{run.id}/breakdown?variant=2"]')
    assert "Subject 2" in get_main_text(browser.get(path_of(run, variant=2)))
    assert len(soup(browser.get(path_of(run) + "?variant=2&link=1")).select("#people tbody tr")) == 1


def test_the_list_and_the_file_of_all_name_the_variants(
    run: Run, click: Click_, browser: FlaskClient
) -> None:
    click(0, 1)
    click(2, 3)
    page = soup(browser.get(path_of(run)))
    assert [cell.text for cell in page.select('#people td[data-label="Variant"]')] == ["A", "B"]
    rows = list(csv.reader(io.StringIO(browser.get(path_of(run, ".csv")).text.lstrip("\ufeff"))))
    assert [row[-1] for row in rows] == ["variant", "A", "B"]


def test_each_variant_has_its_own_map(run: Run, click: Click_, browser: FlaskClient) -> None:
    click(0, 1)
    click(2, 1, 3)
    click(3, 3)
    assert read_badges(browser, run, 1) == {"sale": "1 · 100%", "news": "0 · 0%"}
    assert read_badges(browser, run, 2) == {"sale": "1 · 50%", "shop": "2 · 100%", "about": "0 · 0%"}
    page = soup(browser.get(path_of(run)))
    assert not page.select("iframe")
    assert [link["href"] for link in page.select("#map a")] == [
        f"/mailings/runs/{run.id}/clicks?variant={number}#map" for number in (1, 2)
    ]
    (frame,) = soup(browser.get(path_of(run, variant=2))).select("iframe")
    assert frame["src"] == path_of(run, "/letter", 2)


@pytest.mark.parametrize("page", ["", "/letter"])
def test_a_variant_that_a_run_does_not_have_is_not_found(
    session: Session, user: User, run: Run, browser: FlaskClient, page: str
) -> None:
    assert browser.get(path_of(run, page, 3)).status_code == 404
    run.details_removed_at = utcnow()
    session.flush()
    # Its letters are no longer kept: the page shows the totals, and there is no map.
    assert browser.get(path_of(run, page, 1)).status_code == (404 if page else 200)
    assert not soup(browser.get(path_of(run, variant=1))).select(".variant-tabs")


def test_plain_text_says_why_nothing_is_counted(session: Session, run: Run, browser: FlaskClient) -> None:
    said = "The email is plain text, so its clicks and opens cannot be counted."
    session.get_one(RunVariant, (run.id, 2)).format = MessageFormat.TEXT
    session.flush()
    assert said not in get_main_text(browser.get(path_of(run)))
    assert said not in get_main_text(browser.get(path_of(run, variant=1)))
    assert said in get_main_text(browser.get(path_of(run, variant=2)))


def test_a_link_of_two_variants_has_one_number_even_if_its_text_differs(
    app: Flask, session: Session, run: Run, click: Click_, browser: FlaskClient
) -> None:
    """It has the text of the first variant; the second link of B to the same page is another link."""
    body = '<a href="https://shop.example/sale">Buy now</a> <a href="https://shop.example/sale">Again</a>'
    with app.app_context():
        assert number_links(run.id, LinkedPage(body).links, 2) == [1, 5]
    variant = session.get_one(RunVariant, (run.id, 2))
    variant.body = f"<p>{body}</p>"
    session.flush()
    click(0, 1)
    click(2, 1)
    click(3, 5)
    click(4, 1)
    assert read_links(soup(browser.get(path_of(run))))["sale"] == ("3", "3")
    assert read_links(soup(browser.get(path_of(run, variant=1))))["sale"] == ("1", "1")
    of_b = read_links(soup(browser.get(path_of(run, variant=2))))
    assert (of_b["sale"], of_b["Again"]) == (("2", "2"), ("1", "1"))
    assert read_badges(browser, run, 2) == {"Buy now": "2 · 67%", "Again": "1 · 33%"}
