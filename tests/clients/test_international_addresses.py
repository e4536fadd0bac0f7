"""Test clients whose addresses have non-Latin letters before the @ (RFC 6531)."""

import unicodedata

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, ImportRejection, Suppression, User
from skymailing.tokens import unsubscribe_token
from tests.clients.conftest import Import
from tests.clients.pages import find_addresses, find_errors
from tests.support.factories import ClientFactory

WRITTEN = "Почта@Пример.рф"
STORED = "Почта@xn--e1afmkfd.xn--p1ai"
KEY = "почта@xn--e1afmkfd.xn--p1ai"
SHOWN = "Почта@пример.рф"


def test_a_client_is_added_found_exported_and_unsubscribed(
    app: Flask, browser: FlaskClient, session: Session, user: User
) -> None:
    assert browser.post("/clients/new", data={"email": f" {WRITTEN}\u200e"}).status_code == 302
    client = session.scalars(select(Client)).one()
    assert (client.email, client.email_key) == (STORED, KEY)

    again = browser.post("/clients/new", data={"email": SHOWN.lower()})
    assert "already have a client" in find_errors(again.text)["email"]

    for search in ("ПОЧТА", SHOWN, KEY):
        assert find_addresses(browser.get("/clients/", query_string={"q": search}).text) == [SHOWN]
    assert find_addresses(browser.get("/clients/?q=почто").text) == []
    assert f'"{STORED}",' in browser.get("/clients/export").text
    page = browser.get(f"/clients/{client.id}/edit").text
    assert f'value="{SHOWN}"' in page
    assert 'type="email"' not in page, "browsers reject such addresses there"

    with app.app_context():
        token = unsubscribe_token(user.id, client.email_key)
    assert "п***@пример.рф" in app.test_client().get(f"/u/{token}").text
    assert app.test_client().post(f"/u/{token}").status_code == 200
    assert session.scalars(select(Suppression.email_key)).all() == [KEY]
    assert SHOWN.lower() in browser.get("/clients/suppressions/?q=почта@пример.рф").text


def test_suppressed_addresses_are_not_mailed_in_any_spelling(browser: FlaskClient, session: Session) -> None:
    decomposed = unicodedata.normalize("NFD", "Юрий@пример.рф")
    assert browser.post("/clients/suppressions/add", data={"addresses": decomposed}).status_code == 302
    assert session.scalars(select(Suppression.email_key)).all() == ["юрий@xn--e1afmkfd.xn--p1ai"]


def test_an_import_keeps_international_addresses_and_explains_mistakes(
    run: Import, session: Session, user: User
) -> None:
    ClientFactory.create(owner=user, email=STORED, email_key=KEY)
    import_ = run(
        "email,name\n"
        f"Анна <{SHOWN}>,\n"  # the known client
        "mailto:бёрн@example.com,Bjørn\n"
        f"{unicodedata.normalize('NFD', 'БЁРН@example.com')},again\n"
        "аnna@example.com,with a Cyrillic а\n"
        "Ð°Ð½Ð½Ð°@example.com,in a wrong encoding\n"
    )
    assert (import_.created, import_.updated, import_.rejected) == (1, 2, 2)
    assert session.scalars(select(Client.email_key).order_by(Client.email_key)).all() == [
        "бёрн@example.com",
        KEY,
    ]
    rejections = session.scalars(select(ImportRejection).order_by(ImportRejection.line))
    assert [row.reason for row in rejections] == ["mixed_alphabets", "local_part"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (
            "/auth/register",
            {"email": WRITTEN, "password": "three odd words", "password_confirm": "three odd words"},
        ),
        ("/auth/reset", {"email": WRITTEN}),
    ],
)
def test_accounts_need_an_address_that_every_mail_server_accepts(
    visitor: FlaskClient, session: Session, path: str, data: dict[str, str]
) -> None:
    """Otherwise a confirmation or a new password might never arrive."""
    response = visitor.post(path, data=data)
    assert (
        "Use only Latin letters, digits and symbols before the @ sign." in find_errors(response.text)["email"]
    )
    assert session.scalars(select(User)).all() == []
