"""Nothing that people type, upload or send as a header becomes a header, a recipient or a command."""

import io
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
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]
ENDS = ["\r\n", "\n", "\r", "\r\n\r\n", "\n\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\0", "\x1b[2J"]
TAIL = "Bcc: thief@evil.example"
# Headers that a letter of ours has, and no others: what was injected would be one more.
KNOWN = {
    *("from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post", "list-id", "precedence"),
    *("auto-submitted", "feedback-id", "x-mailer"),
}


def expect_clean(smtp: SmtpServer, recipients: set[str]) -> None:
    """See that every letter went where it should, alone, with the headers that we write."""
    assert {letter.to for letter in smtp.letters} == recipients
    for letter in smtp.letters:
        assert len(letter.recipients) == 1
        parsed = message_from_bytes(letter.content, policy=policy.default)
        names = [name.lower() for name in parsed]
        assert set(names) <= KNOWN
        assert len(names) == len(set(names)), "a header twice"
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
            assert len(addresses) <= 1, "an address more"


@pytest.mark.parametrize("end", ENDS)
def test_a_mailings_letters_carry_nothing_injected(
    app: Flask, session: Session, smtp: SmtpServer, work: Work, end: str
) -> None:
    """Past all forms, as if the database held it: sender, subject, client's name and values."""
    evil = f"x{end}{TAIL}{end}{end}<script>"
    # PostgreSQL and SQLite alike hold no NUL in a text, so that one comes with the values alone.
    kept = evil.replace("\0", "")
    owner = UserFactory.create(name=kept[:200])
    client = ClientFactory.create(owner=owner, full_name=kept, attributes={"city": kept})
    message = MessageFactory.create(
        owner=owner,
        subject=f"Hello {kept} {{{{ name }}}} {{{{ client.city }}}}",
        format=MessageFormat.TEXT,
        body="{{ name }}\r\n.\r\nMAIL FROM:<thief@evil.example>\r\n{{ client.city }}\n.\n",
    )
    mailing = due_mailing(owner, message=message, name=kept)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    expect_clean(smtp, {client.email})
    assert len(smtp.letters) == 1, "a dot alone on a line ended no letter early"
    assert "MAIL FROM:<thief@evil.example>" in smtp.letters[0].text


@pytest.mark.parametrize("end", ENDS)
def test_account_letters_carry_nothing_injected(
    visitor: FlaskClient, smtp: SmtpServer, work: Work, session: Session, end: str
) -> None:
    for email in (f"a@example.com{end}{TAIL}", f"a{end}@example.com", f"a@example.com{end},b@evil.example"):
        data = {"email": email, "password": "three odd words", "password_confirm": "three odd words"}
        visitor.post("/auth/register", data=data)
        visitor.post("/auth/reset", data=data)
    work()
    expect_clean(smtp, {letter.to for letter in smtp.letters} & {"a@example.com"})
    for user in session.scalars(select(User)):
        assert user.email == "a@example.com"


SMUGGLED = [
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


@pytest.mark.parametrize("address", SMUGGLED)
def test_an_address_that_smuggles_is_no_clients(
    browser: FlaskClient, user: User, session: Session, work: Work, address: str
) -> None:
    answer = browser.post("/clients/new", data={"email": address, "full_name": "Anna", "comment": ""})
    assert answer.status_code == 200
    table = 'email\n"' + address.replace('"', '""') + '"\n'
    browser.post("/clients/import", data={"file": (io.BytesIO(table.encode()), "x.csv")})
    work()
    assert session.scalars(select(Client)).all() == []


@pytest.mark.parametrize("address", SMUGGLED)
def test_an_address_that_smuggles_gets_no_letter_should_it_be_in_the_database(
    app: Flask, user: User, session: Session, smtp: SmtpServer, work: Work, address: str
) -> None:
    stored = address.replace("\0", "!")
    good = ClientFactory.create(owner=user)
    ClientFactory.create(owner=user, email=stored, email_key=stored.lower())
    mailing = due_mailing(user)
    with app.app_context():
        queue.enqueue("start_mailing", mailing.id)
    work()
    recipients = {recipient for letter in smtp.letters for recipient in letter.recipients}
    assert good.email in recipients
    assert not {recipient for recipient in recipients if "evil" in recipient and "%" not in recipient}
    assert all(letter.sender == "letters@sky.example" for letter in smtp.letters)


@pytest.mark.parametrize("end", ENDS)
def test_what_forms_take_is_one_line_where_one_line_is_meant(
    browser: FlaskClient, user: User, session: Session, end: str
) -> None:
    evil = f"Anna{end}{TAIL}"
    browser.post("/auth/profile", data={"name": evil, "locale": "en", "timezone": "UTC"})
    browser.post("/clients/new", data={"email": "anna@example.com", "full_name": evil, "comment": ""})
    browser.post("/messages/new", data={"subject": evil, "format": "text", "body": "x"})
    session.refresh(user)
    lines = [user.name]
    lines += session.scalars(select(Client.full_name)).all()
    lines += session.scalars(select(Message.subject)).all()
    for line in lines:
        assert len(line.splitlines()) <= 1, repr(line)
        assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in line), repr(line)


@pytest.mark.parametrize("end", ENDS)
def test_names_of_files_write_no_header(browser: FlaskClient, session: Session, end: str) -> None:
    name = f'x{end}Set-Cookie: a=b".csv'
    file = (io.BytesIO(b"email\nanna@example.com\nno address\n"), name)
    answer = browser.post("/clients/import", data={"file": file})
    assert "Set-Cookie" not in str(answer.headers.get("Location"))
    for imported in session.scalars(select(ClientImport)):
        assert "\0" not in imported.filename
        assert browser.get(f"/clients/imports/{imported.id}").status_code == 200
        download = browser.get(f"/clients/imports/{imported.id}/rejections.csv", buffered=True)
        assert "a=b" not in str(download.headers)


@pytest.mark.parametrize("end", ENDS)
def test_names_of_things_write_no_header_of_a_download(sign_in: SignIn, session: Session, end: str) -> None:
    owner = UserFactory.create(role=Role.ADMIN, name=f"x{end}".replace("\0", ""))
    mailing = due_mailing(owner, name=f'x{end}Set-Cookie: a=b"; filename="evil.exe'.replace("\0", ""))
    ArticleFactory.create(author=owner, title=f"x{end}Set-Cookie: a=b".replace("\0", ""))
    SuppressionFactory.create(owner_id=owner.id, email_key="x@example.com")
    browser = sign_in(owner)
    for path in (f"/mailings/{mailing.id}/log.csv", "/logs/log.csv", "/clients/export", "/blog/feed.atom"):
        answer = browser.get(path, buffered=True)
        assert answer.status_code == 200, path
        assert "a=b" not in str(answer.headers), path
        assert "evil.exe" not in str(answer.headers), path


@pytest.mark.parametrize("agent", ["x\tEvil: y", "x" * 60_000, "\x7f\x1b[2J", "é" * 300])
def test_headers_of_a_request_write_nothing_but_words_of_ours(
    app: Flask, sign_in: SignIn, session: Session, agent: str
) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    browser = sign_in(admin)
    for path in ("/", "/clients/export", "/auth/profile/sessions"):
        headers = {"User-Agent": agent, "Accept-Language": agent, "Referer": agent}
        answer = browser.get(path, headers=headers, buffered=True)
        assert answer.status_code == 200
        assert agent[:50] not in answer.text
    for entry in session.scalars(select(AuditEntry)):
        assert entry.address == "127.0.0.1"
