"""Test the links in letters of an A/B test: counted links, and the page that shows a letter in a browser."""

import re
from typing import Any

import pytest
import time_machine
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Delivery, MessageFormat, Run, RunLink, User
from tests.delivery.conftest import Start, Work
from tests.delivery.ledger import get_only_run
from tests.delivery.test_variants import end_test
from tests.delivery.tested import click, list_sample, plan_tested
from tests.support.factories import MessageFactory, create_clients
from tests.support.servers import Letter, SmtpServer

CLIENTS = 40
SHOP = '<a href="https://shop.example/">Shop</a>'
SALE = '<a href="https://shop.example/sale">Sale</a>'
FOOT = '<a href="{{ browser_url }}">Browser</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a>'


@pytest.fixture
def run(session: Session, user: User, start: Start) -> Run:
    """Return a run whose sample has been sent: A links to the shop, and B to a sale first."""
    create_clients(user, CLIENTS)
    html: dict[str, Any] = {"owner": user, "format": MessageFormat.HTML}
    message = MessageFactory.create(**html, subject="A", body=f"<p>Text of A {SHOP} {FOOT}</p>")
    other = MessageFactory.create(**html, subject="B", body=f"<p>Text of B {SALE} {SHOP} {FOOT}</p>")
    start(plan_tested(user, session, [{"message_id": other.id}], message=message))
    return get_only_run(session)


def letters_to(smtp: SmtpServer, deliveries: list[Delivery]) -> list[Letter]:
    addresses = {delivery.email for delivery in deliveries}
    return [letter for letter in smtp.letters if letter.to in addresses]


def read_links(letter: Letter) -> dict[str, str]:
    """Return the URLs of a letter's links by their text."""
    page = BeautifulSoup(letter.html, "html.parser")
    return {link.text: str(link["href"]) for link in page.find_all("a")}


def test_variants_share_the_numbers_of_equal_links(session: Session, run: Run, smtp: SmtpServer) -> None:
    links = session.scalars(select(RunLink).where(RunLink.run_id == run.id)).all()
    urls = {link.number: link.url for link in links}
    assert sorted((link.url, link.variants) for link in links) == [
        ("https://shop.example/", 0b11),
        ("https://shop.example/sale", 0b10),
    ]
    expected = {"Shop": "https://shop.example/", "Sale": "https://shop.example/sale"}
    for variant, names in ((1, {"Shop"}), (2, {"Shop", "Sale"})):
        for letter in letters_to(smtp, list_sample(session, run, variant)):
            found = read_links(letter)
            assert names == found.keys() & expected.keys()
            for name in names:
                number = re.fullmatch(r"http://sky\.example/c/[\w-]+/(\d+)", found[name])
                assert number
                assert urls[int(number[1])] == expected[name]


def test_the_browser_shows_the_variant_that_was_sent(
    session: Session, run: Run, sweep: Work, smtp: SmtpServer, visitor: FlaskClient
) -> None:
    samples = {number: list_sample(session, run, number) for number in (1, 2)}
    click(session, run, samples[2])
    smtp_sample = list(smtp.letters)
    end_test(run, sweep)
    others = [letter for letter in smtp.letters if letter not in smtp_sample]
    assert others
    assert run.test_ends_at
    with time_machine.travel(run.test_ends_at):
        for letters, text in (
            (letters_to(smtp, samples[1])[:2], "Text of A"),
            (letters_to(smtp, samples[2])[:2], "Text of B"),
            (others[:2], "Text of B"),
        ):
            for letter in letters:
                assert text in letter.html
                path = read_links(letter)["Browser"].removeprefix("http://sky.example")
                assert text in visitor.get(path).text
