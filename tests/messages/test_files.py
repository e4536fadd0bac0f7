"""Test attaching files to messages, linking to files, and refused files."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from skymailing.clock import utcnow
from skymailing.messages import file_links, files
from skymailing.messages.file_types import choose_type, clean_name
from skymailing.messages.unused import GRACE
from skymailing.models import FileLink, Message, MessageDraft, MessageFile, SavedBlock, StoredFile, User
from tests.conftest import SetLimits
from tests.support.factories import MessageFactory, UserFactory, create_clients, due_mailing
from tests.support.files import MEGABYTE, attach, link_to, list_attached
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

VALID = {"subject": "Prices", "format": "text", "body": "Hello, {{ name }}", "language": "en"}
Upload = tuple[str, bytes]


def save(browser: FlaskClient, path: str, *uploads: Upload, **values: Any) -> TestResponse:
    """Save a message with new files."""
    form: MultiDict[str, Any] = MultiDict({**VALID, **values})
    for name, content in uploads:
        form.add("files", FileStorage(io.BytesIO(content), name))
    # Encoded in memory, because the test client would leave a temporary file open.
    boundary, body = encode_multipart(form)
    return browser.post(path, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def list_names(session: Session, message: Message) -> list[str]:
    """Return the names of a message's files, as stored in the database."""
    statement = select(MessageFile.name).where(MessageFile.message_id == message.id)
    return list(session.scalars(statement.order_by(MessageFile.id)))


@pytest.mark.both_engines
def test_files_are_saved_with_the_message_and_shown(browser: FlaskClient, session: Session) -> None:
    response = save(browser, "/messages/new", ("../../Прайс.pdf", b"%PDF"), ("a.png", b"\x89PNG"))

    message = session.scalars(select(Message)).one()
    assert response.location == f"/messages/{message.id}"
    assert list_names(session, message) == ["Прайс.pdf", "a.png"]
    page = browser.get(response.location).text
    assert "Прайс.pdf" in page
    assert "4 bytes" in page
    assert "Прайс.pdf" in browser.get(f"/messages/{message.id}/edit").text


@pytest.mark.both_engines
def test_a_file_is_removed_and_another_added(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    old = attach(message, b"old", "old.pdf")
    attach(message, b"kept", "kept.pdf")

    save(browser, f"/messages/{message.id}/edit", ("new.pdf", b"new"), removed_files=[str(old.id)])

    assert list_names(session, message) == ["kept.pdf", "new.pdf"]


def test_a_message_saved_without_the_field_keeps_its_files(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    attach(message, b"kept", "kept.pdf")

    browser.post(f"/messages/{message.id}/edit", data=VALID)

    session.refresh(message)
    assert message.subject == "Prices"
    assert list_names(session, message) == ["kept.pdf"]


def test_files_of_another_owner_cannot_be_removed(browser: FlaskClient, session: Session, user: User) -> None:
    foreign = MessageFactory.create(owner=UserFactory.create())
    file = attach(foreign, b"theirs", "theirs.pdf")
    own = MessageFactory.create(owner=user)

    save(browser, f"/messages/{own.id}/edit", removed_files=[str(file.id)])

    assert list_names(session, foreign) == ["theirs.pdf"]


def zip_of(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("upload", "error"),
    [
        (("setup.exe", b"MZ"), "refuse emails with .exe files"),
        (("SETUP.EXE ", b"MZ"), "refuse emails with .exe files"),
        (("setup.exe.", b"MZ"), "refuse emails with .exe files"),
        (("invoice.pdf\u202efdp.exe", b"MZ"), "refuse emails with .exe files"),
        (("script.js.gz", b"x"), "refuse emails with .js files"),
        (("empty.pdf", b""), "is empty"),
        (("docs.zip", zip_of("a.txt", "folder/run.bat")), "contains a .bat file"),
        (("docs.bin", zip_of("run.ps1")), "contains a .ps1 file"),
        (("damaged.zip", b"PK\x03\x04 nothing"), "is damaged"),
        (("many.zip", zip_of(*map(str, range(1001)))), "contains more than 1000 files"),
        (("large.pdf", b"x" * (5 * MEGABYTE + 1)), "up to 5 MB in total"),
        (("\u202e\x00/", b"x"), "This file has no name"),
    ],
)
def test_a_refused_file_is_explained_and_nothing_is_saved(
    browser: FlaskClient, session: Session, upload: Upload, error: str
) -> None:
    response = save(browser, "/messages/new", ("good.pdf", b"good"), upload, body="Typed text")

    assert response.status_code == 200
    assert error in response.text
    assert "Typed text" in response.text
    assert session.scalars(select(Message)).all() == []
    assert session.scalars(select(StoredFile)).all() == []


def test_files_have_to_be_chosen_again_if_another_field_has_an_error(browser: FlaskClient) -> None:
    page = save(browser, "/messages/new", ("good.pdf", b"good"), subject="").text
    assert "Choose the files again" in page
    assert "Choose the files again" not in browser.get("/messages/new").text


def test_archives_with_harmless_files_and_documents_are_accepted(
    browser: FlaskClient, session: Session
) -> None:
    archive, document = zip_of("a.txt", "b.pdf"), zip_of("word/document.xml")
    save(browser, "/messages/new", ("a.zip", archive), ("b.docx", document), ("not-zip.dat", b"PK plain"))

    (message,) = session.scalars(select(Message))
    assert list_names(session, message) == ["a.zip", "b.docx", "not-zip.dat"]


def test_a_message_has_a_limited_number_and_size_of_files(
    browser: FlaskClient, session: Session, user: User, set_limits: SetLimits
) -> None:
    message = MessageFactory.create(owner=user)
    path = f"/messages/{message.id}/edit"
    eleven_files = [(f"{number}.pdf", b"x") for number in range(11)]
    assert "up to 10 files" in save(browser, path, *eleven_files).text
    half = b"x" * (3 * MEGABYTE)
    assert save(browser, path, ("a.pdf", half)).status_code == 302
    assert "up to 5 MB in total" in save(browser, path, ("b.pdf", half + b"y")).text
    (first,) = session.scalars(select(MessageFile.id))
    replaced = save(browser, path, ("b.pdf", half + b"y"), removed_files=[str(first)])
    assert replaced.status_code == 302
    assert list_names(session, message) == ["b.pdf"]
    set_limits(files_mb=6)
    other = MessageFactory.create(owner=user)
    page = save(browser, f"/messages/{other.id}/edit", ("c.pdf", half + b"z")).text
    assert "Your files take up 6 MB already" in page
    assert list_names(session, other) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a/b\\c.pdf", "c.pdf"),
        ("  two   words .pdf", "two words .pdf"),
        ("x\r\nBcc: y.pdf", "xBcc_ y.pdf"),
        (".htaccess", "htaccess"),
        ('setup.exe::$DATA<>"|?*', "setup.exe__$DATA______"),
        ("й" * 300 + ".pdf", "й" * 196 + ".pdf"),
        ("i\u0306.txt".replace("i", "и"), "й.txt"),
        ("\u200b\u202e", ""),
    ],
)
def test_names_are_cleaned(given: str, expected: str) -> None:
    assert clean_name(given) == expected


@pytest.mark.parametrize("name", ["page.html", "page.SVG", "feed.xml", "unknown.zzz", "none"])
def test_active_and_unknown_types_have_a_neutral_media_type(name: str) -> None:
    assert choose_type(name) == "application/octet-stream"


@pytest.mark.both_engines
def test_a_copy_has_the_same_files(browser: FlaskClient, session: Session, user: User) -> None:
    message = MessageFactory.create(owner=user)
    attach(message, b"shared", "a.pdf")

    browser.post(f"/messages/{message.id}/duplicate")

    copy = session.scalars(select(Message).where(Message.id != message.id)).one()
    assert list_names(session, copy) == ["a.pdf"]
    assert len(session.scalars(select(StoredFile.id)).all()) == 1


@pytest.mark.both_engines
def test_a_deleted_message_is_restored_with_its_files(
    browser: FlaskClient, session: Session, user: User
) -> None:
    message = MessageFactory.create(owner=user)
    attach(message, b"content", "a.pdf")

    browser.post(f"/messages/{message.id}/delete")
    (draft_id,) = session.scalars(select(MessageDraft.id))
    browser.post(f"/messages/drafts/{draft_id}/restore")

    (restored,) = session.scalars(select(Message))
    assert list_names(session, restored) == ["a.pdf"]


def test_a_test_letter_has_the_files(browser: FlaskClient, user: User, smtp: SmtpServer, work: Any) -> None:
    message = MessageFactory.create(owner=user)
    attach(message, b"content", "Прайс.pdf")

    browser.post(f"/messages/{message.id}/test")
    work()

    (letter,) = smtp.letters
    assert list_attached(letter.parsed) == [("Прайс.pdf", b"content")]


def test_the_mailing_form_shows_the_size_of_all_letters(browser: FlaskClient, user: User) -> None:
    create_clients(user, 10)
    mailing = due_mailing(user, message=MessageFactory.create(owner=user))
    attach(mailing.message, b"x" * MEGABYTE, "price.pdf")

    page = browser.get(f"/mailings/new?message={mailing.message_id}").text

    assert "price.pdf" in page
    assert "1.4 MB × 10 clients = 14 MB" in page


def test_anyone_with_the_link_can_download_the_file(
    browser: FlaskClient, visitor: FlaskClient, session: Session, user: User
) -> None:
    form = {"file": (io.BytesIO(b"<script>alert(1)</script>"), "страница.html")}
    page = browser.post("/messages/files", data=form)

    (link,) = session.scalars(select(FileLink))
    assert page.status_code == 200
    assert f"http://sky.example/messages/files/{link.token}" in page.text
    response = visitor.get(f"/messages/files/{link.token}")
    assert response.data == b"<script>alert(1)</script>"
    assert response.mimetype == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''%D1%81")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; sandbox")
    assert "immutable" in response.headers["Cache-Control"]
    assert "Set-Cookie" not in response.headers
    assert visitor.get(f"/messages/files/{'0' * 32}").status_code == 404
    user.blocked_at = utcnow()
    session.flush()
    assert visitor.get(f"/messages/files/{link.token}").status_code == 404


def test_a_refused_file_gets_no_link(browser: FlaskClient, session: Session) -> None:
    page = browser.post("/messages/files", data={"file": (io.BytesIO(b"MZ"), "a.exe")})
    assert page.status_code == 422
    assert "refuse emails with .exe files" in page.text
    assert browser.post("/messages/files").status_code == 422
    assert session.scalars(select(FileLink)).all() == []


@pytest.mark.both_engines
def test_a_linked_file_is_kept_as_long_as_a_text_contains_its_link(
    app: Flask, session: Session, user: User
) -> None:
    used, unused = link_to(user, b"used"), link_to(user, b"unused")
    message = MessageFactory.create(owner=user, body=f"http://sky.example/messages/files/{used.token}")
    later = utcnow() + GRACE + timedelta(hours=1)

    with app.app_context():
        assert file_links.delete_unused(utcnow()) == 0
        assert file_links.delete_unused(later) == 1
        (Path(app.config["DATA_DIR"]) / files.MARK).unlink(missing_ok=True)
        assert files.delete_unused(later) == 1
    assert list(session.scalars(select(FileLink.id))) == [used.id]
    assert list(session.scalars(select(StoredFile.size))) == [4]
    session.add(SavedBlock(owner_id=user.id, name="Price list", block=f'{{"url": "{used.token}"}}'))
    message.body = "no link"
    session.flush()
    with app.app_context():
        assert file_links.delete_unused(later + GRACE + timedelta(hours=7)) == 0, "a saved block has the link"
        session.execute(delete(SavedBlock))
        assert file_links.delete_unused(later + 2 * GRACE + timedelta(hours=14)) == 1
    assert unused.token != used.token
