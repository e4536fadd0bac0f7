"""Test links in letters: which are counted, where they lead, and the responses to forged and old ones."""

import re
from binascii import b2a_base64
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.delivery.rendering.tracked_links import LinkedPage
from skymailing.delivery.run_links import number_links
from skymailing.delivery.send import send_slice
from skymailing.models import (
    Delivery,
    DeliveryState,
    Mailing,
    MessageFormat,
    OpenTracking,
    Run,
    RunLink,
    User,
)
from skymailing.tracking import targets
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.targets import forget_targets
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, create_run, due_mailing
from tests.support.servers import Letter, SmtpServer

FRAGMENTS = (
    *("<a ", "</a>", "href=", "href='https://x.example/", 'href="https://x.example/"', ">", "<", "'", '"'),
    *(
        " ",
        "\n",
        "text",
        "{{ name }}",
        "{% if name %}",
        "<!--",
        "-->",
        "<style>",
        "</style>",
        "data-plain",
        "&amp;",
    ),
)
CHROME = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"}
BODY = """<p><a href="https://shop.example/sale?a=1&amp;b=%D0%B0">Sale <b>now</b></a>
<a HREF='http://shop.example/'><img src="x.png" alt="Our shop"></a>
<a href="mailto:shop@shop.example">Write</a> <a href="#top">Up</a> <a href="javascript:alert(1)">Run</a>
<a href="https://shop.example/{{ client.city }}">Your city</a>
<a href="https://plain.example/" data-plain>Plain</a>
<a href="{{ unsubscribe_url }}">Unsubscribe</a></p>"""


@pytest.fixture(autouse=True)
def _forget() -> None:
    forget_targets()


def send(app: Flask, mailing: Mailing, smtp: SmtpServer) -> Letter:
    """Send the mailing to its only client; return the letter."""
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        assert run_id is not None
        send_slice(run_id, lambda _elapsed: False)
    (letter,) = smtp.letters
    return letter


def find_links(source: str) -> list[tuple[str, str]]:
    return [(link.url, link.label) for link in LinkedPage(source).links]


@pytest.mark.one_engine
def test_only_links_to_pages_on_the_web_are_counted() -> None:
    assert find_links(BODY) == [
        ("https://shop.example/sale?a=1&b=%D0%B0", "Sale now"),
        ("http://shop.example/", "Our shop"),
    ]
    written = LinkedPage(BODY).write([1, 2], "https://sky.example")
    assert '<a href="https://sky.example/c/{{ tracked_link_token }}/1">Sale <b>now</b></a>' in written
    for kept in ("mailto:shop@shop.example", "javascript:alert(1)", "{{ client.city }}", "data-plain"):
        assert kept in written


@pytest.mark.one_engine
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_everything_but_the_links_remains_unchanged(source: str) -> None:
    page = LinkedPage(source)
    written = page.write(range(1, len(page.links) + 1), "")
    if not page.links:
        assert written == source
    urls = re.split(r'"/c/\{\{ tracked_link_token \}\}/\d+"', written)
    assert len(urls) == len(page.links) + 1
    rest = source
    for part in urls:
        assert part in rest
        rest = rest[rest.index(part) + len(part) :]


@pytest.mark.both_engines
def test_a_click_on_a_link_in_a_letter_is_counted(
    app: Flask, session: Session, user: User, smtp: SmtpServer, visitor: FlaskClient
) -> None:
    ClientFactory.create(owner=user, attributes={"city": "omsk"})
    message = MessageFactory.create(owner=user, format=MessageFormat.HTML, body=BODY)
    mailing = due_mailing(user, message=message, track_clicks=True, track_opens=OpenTracking.DAY)
    letter = send(app, mailing, smtp)
    page = BeautifulSoup(letter.html, "html.parser")
    hrefs = [str(link["href"]) for link in page.find_all("a")]
    assert hrefs[5:7] == ["https://shop.example/omsk", "https://plain.example/"]
    first, second = (href.removeprefix("http://sky.example") for href in hrefs[:2])
    response = visitor.get(first, headers=CHROME)
    assert response.status_code == 302
    assert response.headers["Location"] == "https://shop.example/sale?a=1&b=%D0%B0"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert visitor.get(second, headers=CHROME).headers["Location"] == "http://shop.example/"
    assert visitor.head(first, headers=CHROME).status_code == 302  # a check, not a click
    (image_url,) = [str(image["src"]) for image in page.find_all("img") if "/o/" in str(image["src"])]
    assert visitor.get(image_url.removeprefix("http://sky.example"), headers=CHROME).mimetype == "image/gif"
    with app.app_context():
        fold_hits(utcnow())
    links = select(RunLink.number, RunLink.people, RunLink.clicks).order_by(RunLink.number)
    # A person follows one of two links; here both were followed at once, as by a scanner.
    assert session.execute(links).tuples().all() == [(1, 0, 0), (2, 0, 0)]
    with time_machine.travel(utcnow() + timedelta(minutes=1)):
        visitor.get(first, headers=CHROME)
    with app.app_context():
        fold_hits(utcnow())
    assert session.execute(links).tuples().all() == [(1, 1, 1), (2, 0, 0)]


@pytest.mark.one_engine
def test_letters_without_tracking_have_plain_links(
    app: Flask, session: Session, user: User, smtp: SmtpServer
) -> None:
    ClientFactory.create(owner=user)
    message = MessageFactory.create(owner=user, format=MessageFormat.HTML, body=BODY)
    letter = send(app, due_mailing(user, message=message), smtp)
    assert 'href="https://shop.example/sale?a=1&amp;b=%D0%B0"' in letter.html
    assert "/c/" not in letter.html
    assert "/o/" not in letter.html
    assert session.scalars(select(RunLink)).all() == []


class Links:
    """A run with one letter and one link."""

    def __init__(self, app: Flask, session: Session, user: User) -> None:
        self.run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 1})
        session.add(RunLink(run_id=self.run.id, number=1, url="https://shop.example/"))
        session.flush()
        self.letter = session.scalars(select(Delivery).where(Delivery.run_id == self.run.id)).one()
        with app.app_context():
            self.token = ClickSigner(self.run.id, self.run.uuid).make_token(self.letter.id)


@pytest.fixture
def links(app: Flask, session: Session, user: User) -> Links:
    return Links(app, session, user)


@pytest.mark.one_engine
def test_an_author_who_types_the_internal_value_gets_nothing(
    app: Flask, user: User, smtp: SmtpServer, session: Session
) -> None:
    ClientFactory.create(owner=user)
    body = "<p>{{ tracked_link_token }}{{ opened_picture_url }}Hello</p>"
    message = MessageFactory.create(owner=user, format=MessageFormat.HTML, body=body)
    assert "<p>Hello</p>" in send(app, due_mailing(user, message=message), smtp).html


@pytest.mark.one_engine
def test_forged_and_unknown_links_lead_nowhere(
    app: Flask, links: Links, session: Session, visitor: FlaskClient
) -> None:
    assert visitor.get(f"/c/{links.token}/1").status_code == 302
    changed = ("A" if links.token[-1] != "A" else "B").join([links.token[:-1], ""])
    with app.app_context():
        foreign_token = ClickSigner(links.run.id, uuid4()).make_token(links.letter.id)
    for path in (f"{links.token}/2", f"{links.token}/0", f"{changed}/1", f"{foreign_token}/1", "x/1"):
        response = visitor.get(f"/c/{path}")
        assert response.status_code == 404, path
        assert "Location" not in response.headers
    assert visitor.get(f"/c/{links.token}/1?url=https://evil.example/").headers["Location"] == (
        "https://shop.example/"
    )


def test_a_forged_run_that_no_key_can_hold_leads_nowhere(visitor: FlaskClient) -> None:
    token = b2a_base64(b"\xff" * 21, newline=False).decode().replace("/", "_")
    assert visitor.get(f"/c/{token}/1").status_code == 404
    assert visitor.get(f"/o/{token}.gif").status_code == 200


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("url", "location"),
    [
        (
            "https://пример.рф/путь?я=ж#ё",
            "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C?%D1%8F=%D0%B6#%D1%91",
        ),
        ("https://shop.example/?c=%D0%B0#d", "https://shop.example/?c=%D0%B0#d"),
    ],
)
def test_redirects_are_in_ascii(
    links: Links, session: Session, visitor: FlaskClient, url: str, location: str
) -> None:
    session.get_one(RunLink, (links.run.id, 1)).url = url
    session.flush()
    for _from in ("the database", "memory"):
        response = visitor.get(f"/c/{links.token}/1", headers=CHROME)
        assert (response.status_code, response.headers["Location"]) == (302, location)


@pytest.mark.one_engine
def test_links_that_were_stored_after_a_forged_request_work(
    app: Flask, links: Links, session: Session, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "CHECKED", 0)
    assert visitor.get(f"/c/{links.token}/2").status_code == 404
    session.add(RunLink(run_id=links.run.id, number=2, url="https://shop.example/new"))
    session.flush()
    assert visitor.get(f"/c/{links.token}/2").status_code == 302
    links.run.uuid = uuid4()  # SQLite gave the ID to another run
    session.flush()
    with app.app_context():
        token = ClickSigner(links.run.id, links.run.uuid).make_token(links.letter.id)
    assert visitor.get(f"/c/{token}/1").status_code == 302
    assert visitor.get(f"/c/{links.token}/1").status_code == 404


@pytest.mark.one_engine
def test_links_of_a_deleted_run_and_of_a_disabled_mailing_say_so(
    links: Links, session: Session, visitor: FlaskClient
) -> None:
    links.run.mailing.disabled_at = utcnow()
    session.flush()
    assert "has been disabled" in visitor.get(f"/c/{links.token}/1").text
    session.delete(session.get_one(Run, links.run.id))
    session.flush()
    forget_targets()
    response = visitor.get(f"/c/{links.token}/1")
    assert response.status_code == 404
    assert "deleted the mailing" in response.text


def test_numbers_that_letters_already_have_keep_their_targets(
    app: Flask, session: Session, links: Links
) -> None:
    page = LinkedPage('<a href="https://new.example/">N</a><a href="https://shop.example/">S</a>')
    with app.app_context():
        assert number_links(links.run.id, page.links) == [2, 1]
        assert number_links(links.run.id, page.links) == [2, 1]
    stored = select(RunLink.number, RunLink.url).order_by(RunLink.number)
    assert session.execute(stored).tuples().all() == [
        (1, "https://shop.example/"),
        (2, "https://new.example/"),
    ]
