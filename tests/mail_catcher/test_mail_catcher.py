"""Test the mail catcher, which stores letters instead of sending them and shows them on pages."""

import smtplib
import socket
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from config import TestingConfig
from skymailing import create_app
from skymailing.mail_catcher.store import LetterStore
from tests.processes.service import PROJECT_DIR, Service, is_listening, wait_until


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a mail catcher with its own directory."""
    service = Service(tmp_path_factory.mktemp("catcher"))
    process = subprocess.Popen(service.command("catcher"), cwd=PROJECT_DIR, env=service.environment)
    wait_until(lambda: is_listening(service.mail_port), "the catcher listens")
    yield service
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def catching_app(tmp_path: Path) -> Flask:
    """Return an app with the mail catcher, whose pages need neither a database nor Redis."""
    return create_app(TestingConfig({"DATA_DIR": str(tmp_path)}))


@pytest.fixture
def store(tmp_path: Path) -> LetterStore:
    store = LetterStore(tmp_path / "outbox")
    store.prepare()
    return store


@pytest.fixture
def visitor(catching_app: Flask) -> FlaskClient:
    return catching_app.test_client()


def find_tag(page: BeautifulSoup, selector: str) -> Tag:
    found = page.select_one(selector)
    assert found is not None
    return found


def find_url(page: BeautifulSoup, selector: str) -> str:
    """Return the `href` of the link that matches `selector`."""
    return str(find_tag(page, selector)["href"])


def make_letter(to: str = "anna@example.org", subject: str = "Привет") -> bytes:
    letter = EmailMessage()
    letter["From"] = "letters@sky.example"
    letter["To"] = to
    letter["Subject"] = subject
    letter.set_content("Подтвердите: http://sky.example/auth/verify/abc\n")
    letter.add_alternative("<p>Подтвердите <b>адрес</b></p><script>alert(1)</script>", subtype="html")
    return letter.as_bytes()


def test_a_letter_is_stored_unchanged_after_its_envelope(catcher: Service) -> None:
    content = make_letter().replace(b"\n", b"\r\n")

    with smtplib.SMTP("127.0.0.1", catcher.mail_port) as session:
        session.sendmail("bounce@sky.example", ["Anna@example.org", "boris@example.org"], content)

    letters = LetterStore(catcher.data_dir / "outbox").list_letters()
    assert {letter.recipient for letter in letters} == {"Anna@example.org", "boris@example.org"}
    for letter in letters:
        envelope = f"Return-Path: <bounce@sky.example>\r\nDelivered-To: {letter.recipient}\r\n"
        assert letter.raw == envelope.encode() + content


def test_pipelined_commands_get_replies_in_order(catcher: Service) -> None:
    """Pipeline commands as in RFC 2920: the next envelope follows the body, and one recipient is refused."""
    with (
        socket.create_connection(("127.0.0.1", catcher.mail_port), timeout=60) as connection,
        connection.makefile("rb") as replies,
    ):
        assert replies.readline().startswith(b"220 ")
        connection.sendall(b"EHLO me\r\n")
        extensions = []
        while (line := replies.readline())[3:4] == b"-":
            extensions.append(line[4:].strip())
        assert line.startswith(b"250 ")
        assert b"PIPELINING" in extensions

        envelope = b"MAIL FROM:<a@sky.example>\r\nRCPT TO:<%s>\r\nDATA\r\n"
        connection.sendall(envelope % b"first@example.org")
        assert [replies.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        connection.sendall(b"Subject: 1\r\n\r\n..dot\r\n.\r\n" + envelope % b"@" + b"RSET\r\n")
        assert [replies.readline()[:3] for _ in range(5)] == [b"250", b"250", b"553", b"503", b"250"]
        connection.sendall(envelope % b"second@example.org")
        assert [replies.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        connection.sendall(b"Subject: 2\r\n\r\n" + b"x" * 900 + b"\r\n.\r\nQUIT\r\n")
        assert [replies.readline()[:3] for _ in range(2)] == [b"250", b"221"]

    store = LetterStore(catcher.data_dir / "outbox")
    (first,) = store.list_letters("first@example.org")
    assert first.raw.endswith(b"\r\n\r\n.dot\r\n")
    (second,) = store.list_letters("second@example.org")
    assert second.headers["Subject"] == "2"


def test_an_unfinished_file_from_a_killed_catcher_is_not_a_letter(tmp_path: Path, store: LetterStore) -> None:
    (tmp_path / "outbox" / ".unfinished-000001").write_bytes(b"Subject: ha")

    assert store.list_letters() == []

    store.prepare()
    assert list((tmp_path / "outbox").iterdir()) == []


def test_an_empty_list_explains_what_will_appear(visitor: FlaskClient) -> None:
    response = visitor.get("/outbox/")

    assert response.status_code == 200
    assert "No emails yet" in response.text


def test_the_list_is_paginated_newest_first(visitor: FlaskClient, store: LetterStore) -> None:
    for number in range(120):
        store.save("", f"client{number}@example.org", make_letter(subject=f"Письмо {number}"))

    url, seen = "/outbox/", []
    while url:
        page = BeautifulSoup(visitor.get(url).text, "html.parser")
        assert "120 emails" in page.text
        seen += [link.text for link in page.select("tbody a")]
        next_link = page.select_one("a[rel=next]")
        url = str(next_link["href"]) if next_link else ""

    assert seen == [f"Письмо {number}" for number in reversed(range(120))]


def test_returning_to_the_previous_page_shows_the_same_letters(
    visitor: FlaskClient, store: LetterStore
) -> None:
    for number in range(60):
        store.save("", "anna@example.org", make_letter(subject=str(number)))
    first = BeautifulSoup(visitor.get("/outbox/").text, "html.parser")
    second = BeautifulSoup(visitor.get(find_url(first, "a[rel=next]")).text, "html.parser")

    previous = BeautifulSoup(visitor.get(find_url(second, "a[rel=prev]")).text, "html.parser")

    assert [a.text for a in previous.select("tbody a")] == [a.text for a in first.select("tbody a")]


@pytest.mark.parametrize("query", ["ANNA@", "anna@example.org", "+news", "nn"])
def test_search_finds_part_of_the_recipients_address(
    visitor: FlaskClient, store: LetterStore, query: str
) -> None:
    store.save("", "Anna+news@example.org" if query == "+news" else "Anna@example.org", make_letter())
    store.save("", "boris@example.org", make_letter("boris@example.org"))

    page = visitor.get("/outbox/", query_string={"q": query})

    assert "1 email" in page.text
    assert "Anna" in page.text
    assert "boris@example.org" not in page.text


def test_a_letter_shows_its_text_with_links_and_its_html_in_a_sandbox(
    visitor: FlaskClient, store: LetterStore
) -> None:
    store.save("bounce@sky.example", "anna@example.org", make_letter())
    listed = BeautifulSoup(visitor.get("/outbox/").text, "html.parser")

    page = BeautifulSoup(visitor.get(find_url(listed, "tbody a")).text, "html.parser")

    assert find_tag(page, "h1").text == "Привет"
    assert find_url(page, "pre a") == "http://sky.example/auth/verify/abc"
    frame = find_tag(page, "iframe")
    assert "allow-scripts" not in frame["sandbox"]
    assert "allow-same-origin" not in frame["sandbox"]
    html = visitor.get(str(frame["src"]))
    assert "<b>адрес</b>" in html.text
    policy = html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy


def test_a_letter_can_be_downloaded_unchanged(visitor: FlaskClient, store: LetterStore) -> None:
    store.save("bounce@sky.example", "anna@example.org", make_letter())
    (letter,) = store.list_letters()

    response = visitor.get(f"/outbox/{letter.id}.eml")

    assert response.data == letter.raw
    assert response.mimetype == "message/rfc822"
    assert "attachment" in response.headers["Content-Disposition"]


def test_a_letter_without_html_and_with_an_unknown_charset_is_shown(
    visitor: FlaskClient, store: LetterStore
) -> None:
    content = b"Subject: =?x?q?y?=\r\nContent-Type: text/plain; charset=klingon\r\n\r\nnuqneH \xff\r\n"
    store.save("", "anna@example.org", content)
    (letter,) = store.list_letters()

    assert "nuqneH" in visitor.get(f"/outbox/{letter.id}").text
    assert visitor.get(f"/outbox/{letter.id}/html").status_code == 404


@pytest.mark.parametrize("name", ["nothing", "..%2f..%2fsecret-key", "0" * 19 + "-000000_nobody@example.org"])
def test_an_unknown_letter_is_not_found(visitor: FlaskClient, name: str) -> None:
    for url in (f"/outbox/{name}", f"/outbox/{name}.eml", f"/outbox/{name}/html"):
        assert visitor.get(url).status_code == 404


@pytest.mark.parametrize(
    "recipient", ["a/../../b@example.org", "x" * 300 + "@example.org", "почта@example.org"]
)
def test_any_address_can_be_stored(visitor: FlaskClient, store: LetterStore, recipient: str) -> None:
    store.save("", recipient, make_letter())

    (letter,) = store.list_letters()

    assert letter.recipient == recipient
    assert visitor.get(f"/outbox/{letter.id}").status_code == 200


def test_deleting_all_letters_requires_confirmation(visitor: FlaskClient, store: LetterStore) -> None:
    for _ in range(3):
        store.save("", "anna@example.org", make_letter())

    assert "3 emails will be permanently deleted" in visitor.get("/outbox/delete").text
    assert len(store.list_letters()) == 3
    response = visitor.post("/outbox/delete", follow_redirects=True)

    assert "3 emails deleted" in response.text
    assert store.list_letters() == []


def test_the_pages_are_not_found_if_a_real_mail_server_is_used(app: Flask) -> None:
    assert app.test_client().get("/outbox/").status_code == 404
