"""Test that typed, uploaded or sent text never becomes a header, a recipient or an SMTP command."""

from collections.abc import Callable
from email import message_from_bytes, policy

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import queue
from skymailing.models import AuditEntry, Client, ClientImport, Message, MessageFormat, Role, User
from tests.conftest import SignIn
from tests.support.factories import (
    ArticleFactory,
    ClientFactory,
    MessageFactory,
    SuppressionFactory,
    UserFactory,
    due_mailing,
)
from tests.support.imports import import_file
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
LINE_ENDS = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "\x0b",
    "\x0c",
    "\x85",
    "\u2028",
    "\u2029",
    "\0",
    "\x1b[2J",
]
INJECTED_HEADER = "Bcc: thief@evil.example"
# The headers of our letters; any other header would have been injected.
KNOWN_HEADERS = {
    *("from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post", "list-id", "precedence"),
    *("auto-submitted", "feedback-id", "x-mailer"),
}


def check_letters(smtp: SmtpServer, recipients: set[str]) -> None:
    """Check that each letter has one expected recipient and only the headers that we write."""
    assert {letter.to for letter in smtp.letters} == recipients
    for letter in smtp.letters:
        assert len(letter.recipients) == 1
        parsed = message_from_bytes(letter.content, policy=policy.default)
        names = [name.lower() for name in parsed]
        assert set(names) <= KNOWN_HEADERS
        assert len(names) == len(set(names)), "duplicate header"
        assert parsed.defects == []
        head = letter.content.partition(b"\r\n\r\n")[0]
        assert b"\nBcc:" not in head
        for line in head.split(b"\r\n"):
            assert b"\n" not in line
            assert b"\r" not in line
            assert b"\0" not in line
            assert b"\x1b" not in line
            assert len(line) <= 998
        for header in ("From", "To", "Reply-To"):
            addresses = parsed[header].addresses if parsed[header] else ()
            assert len(addresses) <= 1, "additional address"


@pytest.mark.parametrize("end", LINE_ENDS)
def test_mailing_letters_contain_no_injected_headers(
    app: Flask, session: Session, smtp: SmtpServer, work: Work, end: str
) -> None:
    """Sender, subject, and the client's name and values are stored directly, without a form."""
    evil = f"x{end}{INJECTED_HEADER}{end}{end}<script>"
    # PostgreSQL cannot store NUL in text.
    stored = evil.replace("\0", "")
    owner = UserFactory.create(name=stored[:200])
    client = ClientFactory.create(owner=owner, full_name=stored, attributes={"city": stored})
    message = MessageFactory.create(
        owner=owner,
        subject=f"Hello {stored} {{{{ name }}}} {{{{ client.city }}}}",
        format=MessageFormat.TEXT,
        body="{{ name }}\r\n.\r\nMAIL FROM:<thief@evil.example>\r\n{{ client.city }}\n.\n",
    )
    mailing = due_mailing(owner, message=message, name=stored)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    check_letters(smtp, {client.email})
    assert len(smtp.letters) == 1, "a lone dot does not end the letter"
    assert "MAIL FROM:<thief@evil.example>" in smtp.letters[0].text


@pytest.mark.parametrize("end", LINE_ENDS)
def test_account_letters_contain_no_injected_headers(
    visitor: FlaskClient, smtp: SmtpServer, work: Work, session: Session, end: str
) -> None:
    for email in (
        f"a@example.com{end}{INJECTED_HEADER}",
        f"a{end}@example.com",
        f"a@example.com{end},b@evil.example",
    ):
        data = {"email": email, "password": "three odd words", "password_confirm": "three odd words"}
        visitor.post("/auth/register", data=data)
        visitor.post("/auth/reset", data=data)
    work()
    check_letters(smtp, {letter.to for letter in smtp.letters} & {"a@example.com"})
    for user in session.scalars(select(User)):
        assert user.email == "a@example.com"


SMUGGLING_ADDRESSES = [
    "a@example.com\r\nRCPT TO:<b@evil.example>",
    "a@example.com>\r\nRCPT TO:<b@evil.example",
    "<a@example.com> SIZE=1",
    "a@example.com> NOTIFY=SUCCESS",
    '"a\r\nb"@example.com',
    '"a b"@example.com',
    "a@example.com, b@evil.example",
    "a@example.com;b@evil.example",
    "a@[127.0.0.1]",
    "a@localhost.localdomain\0.evil.example",
    "a%b@evil.example@example.com",
    "@evil.example:a@example.com",
    "a@example.com\u2028b",
    "ａ@example.com\uff0cb@evil.example",
    "-oQ/tmp@example.com -X/tmp/x",
]


@pytest.mark.parametrize("address", SMUGGLING_ADDRESSES)
def test_a_smuggling_address_is_rejected(
    browser: FlaskClient, user: User, session: Session, work: Work, address: str
) -> None:
    response = browser.post("/clients/new", data={"email": address, "full_name": "Anna", "comment": ""})
    assert response.status_code == 200
    table = 'email\n"' + address.replace('"', '""') + '"\n'
    import_file(browser, table.encode())
    work()
    assert session.scalars(select(Client)).all() == []


@pytest.mark.parametrize("address", SMUGGLING_ADDRESSES)
def test_a_smuggling_address_in_the_database_gets_no_letter(
    app: Flask, user: User, session: Session, smtp: SmtpServer, work: Work, address: str
) -> None:
    stored = address.replace("\0", "!")
    valid = ClientFactory.create(owner=user)
    ClientFactory.create(owner=user, email=stored, email_key=stored.lower())
    mailing = due_mailing(user)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    recipients = {recipient for letter in smtp.letters for recipient in letter.recipients}
    assert valid.email in recipients
    assert not {recipient for recipient in recipients if "evil" in recipient and "%" not in recipient}
    assert all(letter.sender == "letters@sky.example" for letter in smtp.letters)


@pytest.mark.parametrize("end", LINE_ENDS)
def test_single_line_fields_store_a_single_line(
    browser: FlaskClient, user: User, session: Session, end: str
) -> None:
    evil = f"Anna{end}{INJECTED_HEADER}"
    browser.post("/auth/profile", data={"name": evil, "locale": "en", "timezone": "UTC"})
    browser.post("/clients/new", data={"email": "anna@example.com", "full_name": evil, "comment": ""})
    browser.post("/messages/new", data={"subject": evil, "format": "text", "body": "x"})
    session.refresh(user)
    lines = [user.name]
    lines += session.scalars(select(Client.full_name)).all()
    lines += session.scalars(select(Message.subject)).all()
    for line in lines:
        assert len(line.splitlines()) <= 1, repr(line)
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line), repr(line)


@pytest.mark.parametrize("end", LINE_ENDS)
def test_file_names_inject_no_header(browser: FlaskClient, session: Session, end: str) -> None:
    name = f'x{end}Set-Cookie: a=b".csv'
    response = import_file(browser, b"email\nanna@example.com\nno address\n", name)
    assert "Set-Cookie" not in str(response.headers.get("Location"))
    for import_ in session.scalars(select(ClientImport)):
        assert "\0" not in import_.filename
        assert browser.get(f"/clients/imports/{import_.id}").status_code == 200
        download = browser.get(f"/clients/imports/{import_.id}/rejections.csv", buffered=True)
        assert "a=b" not in str(download.headers)


@pytest.mark.parametrize("end", LINE_ENDS)
def test_object_names_inject_no_download_header(sign_in: SignIn, session: Session, end: str) -> None:
    owner = UserFactory.create(role=Role.ADMIN, name=f"x{end}".replace("\0", ""))
    mailing = due_mailing(owner, name=f'x{end}Set-Cookie: a=b"; filename="evil.exe'.replace("\0", ""))
    ArticleFactory.create(author=owner, title=f"x{end}Set-Cookie: a=b".replace("\0", ""))
    SuppressionFactory.create(owner_id=owner.id, email_key="x@example.com")
    browser = sign_in(owner)
    for path in (f"/mailings/{mailing.id}/log.csv", "/logs/log.csv", "/clients/export", "/blog/feed.atom"):
        response = browser.get(path, buffered=True)
        assert response.status_code == 200, path
        assert "a=b" not in str(response.headers), path
        assert "evil.exe" not in str(response.headers), path


@pytest.mark.parametrize("agent", ["x\tEvil: y", "x" * 60_000, "\x7f\x1b[2J", "é" * 300])
def test_request_headers_are_never_stored_or_shown_as_sent(
    app: Flask, sign_in: SignIn, session: Session, agent: str
) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    browser = sign_in(admin)
    for path in ("/", "/clients/export", "/auth/profile/sessions"):
        headers = {"User-Agent": agent, "Accept-Language": agent, "Referer": agent}
        response = browser.get(path, headers=headers, buffered=True)
        assert response.status_code == 200
        assert agent[:50] not in response.text
    for entry in session.scalars(select(AuditEntry)):
        assert entry.address == "127.0.0.1"
