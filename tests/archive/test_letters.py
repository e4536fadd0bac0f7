"""Test that the link in a letter opens exactly that letter, for as long as its data is kept."""

import re
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter_links import (
    letter_link_key,
    make_letter_token,
    read_letter_token,
)
from skymailing.delivery.rendering.message_ids import RunIdentity, message_id_key
from skymailing.logs.redaction import Redactor
from skymailing.models import Client, Delivery, MessageFormat, Run, User
from tests.archive.letters import send_letter
from tests.conftest import SignIn
from tests.security.test_headers import expect_sandboxed_page
from tests.support.archives import link_to
from tests.support.factories import ClientFactory, MessageFactory, due_mailing
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
KEY = b"k" * 32
RUN = UUID("12345678-1234-5678-1234-567812345678").bytes[:5]
BODY = """Hello {{ name }} from {{ client.city }}!

[Open in a browser]({{ browser_url }}) [Unsubscribe]({{ unsubscribe_url }})
"""


@pytest.mark.both_engines
def test_the_link_in_a_letter_opens_it(
    app: Flask, session: Session, user: User, visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    message = MessageFactory.create(owner=user, subject="News for {{ name }}", body=BODY)
    anna = ClientFactory.create(owner=user, full_name="Anna <b>", attributes={"city": "Omsk & Tomsk"})
    ClientFactory.create(owner=user, full_name="Boris", attributes={"city": "Perm"})
    mailing = due_mailing(user, message=message, sender_name="Shop")
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    (letter,) = [letter for letter in smtp.letters if letter.to == anna.email]
    (link,) = set(re.findall(r"http://sky\.example(/v/[\w-]+)", letter.text))
    assert len(link) == 31, "the token is short"

    page = visitor.get(link)

    assert page.status_code == 200
    assert "Hello Anna &lt;b&gt; from Omsk &amp; Tomsk!" in page.text
    assert "<title>News for Anna &lt;b&gt;</title>" in page.text
    assert f'href="http://sky.example{link}"' in page.text
    unsubscribe = re.search(r'href="http://sky\.example(/u/[^"]+)"', page.text)
    assert unsubscribe
    assert visitor.get(unsubscribe[1]).status_code == 200
    expect_sandboxed_page(page)
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert page.headers["Cache-Control"] == "private, no-store"
    assert page.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert "Boris" not in page.text
    assert "Perm" not in page.text


def test_a_plain_text_letter_is_shown_with_its_links(app: Flask, user: User, visitor: FlaskClient) -> None:
    body = "Hello <{{ name }}>: see https://shop.example/?a=1&b=2.\n\n{{ unsubscribe_url }}"
    delivery = send_letter(user, body, format=MessageFormat.TEXT, client={"full_name": "<script>"})
    page = visitor.get(link_to(app, delivery)).text
    assert "Hello &lt;&lt;script&gt;&gt;: see <a" in page
    assert '<a href="https://shop.example/?a=1&amp;b=2">https://shop.example/?a=1&amp;b=2</a>.' in page
    assert '<a href="http://sky.example/u/' in page


def test_the_letter_shows_the_address_it_was_sent_to_and_the_day_it_was_sent(
    app: Flask, session: Session, user: User, visitor: FlaskClient
) -> None:
    delivery = send_letter(user, "To {{ email }} on {{ 'now' | date: '%Y' }}/{{ now | date: '%Y-%m-%d' }}")
    delivery.finished_at = utcnow().replace(year=2021, month=2, day=3)
    address = delivery.email
    session.execute(update(Client).values(email=address.upper()))
    session.flush()
    page = visitor.get(link_to(app, delivery)).text
    assert f"To {address}" in page
    assert "/2021-02-03" in page


# --- Who cannot open a letter -----------------------------------------------------------------


def test_forged_and_damaged_tokens_open_nothing(app: Flask, user: User, visitor: FlaskClient) -> None:
    delivery = send_letter(user, "Secret of {{ name }}")
    link = link_to(app, delivery)
    token = link.rpartition("/")[2]
    assert visitor.get(link).status_code == 200
    for position in range(len(token)):
        for other in ("A", "-", "_", "9"):
            damaged = token[:position] + other + token[position + 1 :]
            if damaged != token:
                assert visitor.get(f"/v/{damaged}").status_code == 404, damaged
    mark = RunIdentity(delivery.run.uuid).mark
    for wrong in ("", "x", token[:-1], token + "A", token + "=", token.swapcase(), "é" * 28, "\u0661" * 28):
        assert visitor.get(f"/v/{wrong}").status_code == 404
    for key in (b"", b"secret", message_key(app)):
        assert visitor.get(f"/v/{make_letter_token(delivery.id, mark, key)}").status_code == 404
    assert visitor.get("/v/example").status_code == 404


def message_key(app: Flask) -> bytes:
    with app.app_context():
        return message_id_key()


def test_the_message_id_of_a_letter_does_not_open_it(app: Flask, user: User, visitor: FlaskClient) -> None:
    """Mail servers, and everyone to whom a letter is forwarded, see its Message-ID."""
    delivery = send_letter(user, "Secret of {{ name }}")
    identity = RunIdentity(delivery.run.uuid, message_key(app)).make_message_id(delivery.id, "sky.example")
    hexadecimal = identity.strip("<>").partition("@")[0]
    for token in (hexadecimal, hexadecimal[:28], hexadecimal[-28:]):
        assert visitor.get(f"/v/{token}").status_code == 404


@pytest.mark.both_engines
def test_a_reused_id_does_not_open_another_persons_letter(
    app: Flask, session: Session, user: User, visitor: FlaskClient
) -> None:
    """SQLite gives the ID of the last deleted row to the next one."""
    first = send_letter(user, "First", client={"full_name": "Anna"})
    link, id = link_to(app, first), first.id
    session.execute(delete(Delivery).where(Delivery.id == id))
    session.expunge(first)
    second = send_letter(user, "Second", id=id, client={"full_name": "Boris"})
    assert second.id == id
    response = visitor.get(link)
    assert response.status_code == 410
    assert "Second" not in response.text
    assert visitor.get(link_to(app, second)).status_code == 200


def test_nothing_is_shown_once_the_client_is_deleted(
    app: Flask, session: Session, user: User, visitor: FlaskClient, sign_in: SignIn
) -> None:
    delivery = send_letter(user, "Dear {{ name }}", client={"full_name": "Anna"})
    link = link_to(app, delivery)
    assert "Anna" in visitor.get(link).text
    sign_in(user).post(f"/clients/{delivery.client_id}/delete")
    response = visitor.get(link)
    assert response.status_code == 410
    assert "no longer available" in response.text
    assert "Anna" not in response.text
    assert delivery.email not in response.text


@pytest.mark.parametrize("change", ["corrected", "merged"])
def test_nothing_is_shown_once_the_client_has_another_address(
    app: Flask, session: Session, user: User, visitor: FlaskClient, sign_in: SignIn, change: str
) -> None:
    """The letter may have gone to a stranger, because of a typo or a mistaken merge."""
    delivery = send_letter(user, "Dear {{ name }}", client={"full_name": "Anna"})
    link = link_to(app, delivery)
    assert "Anna" in visitor.get(link).text
    if change == "corrected":
        data = {"email": "right@example.org", "full_name": "Boris"}
        assert sign_in(user).post(f"/clients/{delivery.client_id}/edit", data=data).status_code == 302
    else:
        kept = ClientFactory.create(owner=user, full_name="Boris")
        merge = sign_in(user).post(f"/clients/{kept.id}/merge", data={"other": delivery.client_id})
        assert merge.status_code == 302
    response = visitor.get(link)
    assert response.status_code == 410
    assert "Boris" not in response.text


@pytest.mark.parametrize("change", ["details", "letters"])
def test_nothing_is_shown_once_the_runs_details_are_removed(
    app: Flask, session: Session, user: User, visitor: FlaskClient, change: str
) -> None:
    delivery = send_letter(user, "Dear {{ name }}", client={"full_name": "Anna"})
    link = link_to(app, delivery)
    if change == "details":
        session.execute(update(Run).values(details_removed_at=utcnow(), body=""))
    else:
        session.execute(delete(Delivery))
    response = visitor.get(link)
    assert response.status_code == 410
    assert "Anna" not in response.text


@pytest.mark.parametrize("stopped", ["owner", "mailing"])
def test_letters_that_a_manager_has_stopped_are_not_shown(
    app: Flask, session: Session, user: User, visitor: FlaskClient, stopped: str
) -> None:
    delivery = send_letter(user, "Enter your password here")
    link = link_to(app, delivery)
    assert visitor.get(link).status_code == 200
    if stopped == "owner":
        user.blocked_at = utcnow()
    else:
        delivery.run.mailing.disabled_at = utcnow()
    session.flush()
    response = visitor.get(link)
    assert response.status_code == 404
    assert "password" not in response.text


def test_changed_values_that_break_the_template_cause_no_error(
    app: Flask, session: Session, user: User, visitor: FlaskClient
) -> None:
    loop = "{% for i in (1..n) %}{% for j in (1..n) %}x{% endfor %}{% endfor %}"
    body = f"{{% assign n = client.n | plus: 0 %}}{loop}"
    delivery = send_letter(user, body, client={"attributes": {"n": "2"}})
    link = link_to(app, delivery)
    assert visitor.get(link).status_code == 200
    session.execute(update(Client).values(attributes={"n": "9000"}))
    assert visitor.get(link).status_code == 410


# --- The token --------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [1, 255, 2**31, 2**53])
def test_a_token_identifies_its_letter(id: int) -> None:
    token = make_letter_token(id, RUN, KEY)
    assert re.fullmatch(r"[\w-]{28}", token)
    assert read_letter_token(token, KEY) == (id, RUN)
    assert read_letter_token(token, b"other") is None


def test_a_token_is_made_quickly() -> None:
    """A run of a million letters makes a million of them."""
    start = time.process_time()
    for number in range(50_000):
        make_letter_token(number, RUN, KEY)
    assert time.process_time() - start < 50_000 * 10e-6  # it takes about one microsecond


def test_the_key_depends_on_the_secret_alone(app: Flask) -> None:
    with app.app_context():
        keys = {letter_link_key(), letter_link_key(), message_id_key()}
    assert len(keys) == 2


def test_logs_contain_no_token() -> None:
    token = make_letter_token(7, RUN, KEY)
    assert Redactor().clean(f"GET /v/{token} 200") == "GET /v/[token] 200"


def test_a_test_letter_links_to_an_example(
    user: User, browser: FlaskClient, visitor: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    message = MessageFactory.create(owner=user, body=BODY)
    browser.post(f"/messages/{message.id}/test")
    work()
    (letter,) = smtp.letters
    assert "http://sky.example/v/example" in letter.text
    assert "may be incomplete" in visitor.get("/v/example").text


def test_the_editor_offers_the_link(browser: FlaskClient) -> None:
    assert "{{ browser_url }}" in browser.get("/messages/new").text
