"""Test that a message's language determines its footer and the language of its page."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.messages.starters import PLAIN_KEY, read_starter
from skymailing.models import Message, User
from tests.mailings.pages import soup
from tests.support.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory
from tests.support.servers import SmtpServer

# The language of a letter is chosen in Python.
pytestmark = pytest.mark.one_engine

SignIn = Callable[[User], FlaskClient]


def get_letter(browser: FlaskClient, message: Message) -> str:
    return browser.get(f"/messages/{message.id}/preview").text


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_a_message_written_from_scratch_has_the_language_of_its_author(sign_in: SignIn, locale: str) -> None:
    browser = sign_in(UserFactory.create(locale=locale))

    page = soup(browser.get("/messages/new"))
    chosen = page.select_one("select[name=language] option[selected]")
    assert chosen is not None
    assert chosen["value"] == locale
    # The editor replaces an empty text with a design.
    typed = {"subject": "", "format": "markdown", "body": "", "to": "html", "language": locale}
    converted = browser.post("/messages/convert", data=typed).json
    assert converted is not None
    assert f'<html lang="{locale}">' in converted["body"]
    assert {"en": "Unsubscribe", "ru": "Отписаться"}[locale] in converted["body"]
    assert {"en": "Письмо для", "ru": "Sent to"}[locale] not in converted["body"]


@pytest.mark.parametrize("format", ["markdown", "html", "text"])
def test_the_footer_has_the_language_of_the_message(
    browser: FlaskClient, session: Session, format: str
) -> None:
    typed = {"subject": "SALE", "format": format, "body": "<html><body>50% OFF</body></html>"}
    browser.post("/messages/new", data=typed | {"language": "ru"})

    letter = get_letter(browser, session.scalars(select(Message)).one())
    assert "Отписаться" in letter
    assert format == "text" or '<html lang="ru">' in letter


def test_without_a_choice_the_language_is_that_of_the_text_or_else_the_page(
    sign_in: SignIn, session: Session
) -> None:
    browser = sign_in(UserFactory.create(locale="ru"))
    for subject in ("Hello", "Привет", "1 + 1"):
        browser.post("/messages/new", data={"subject": subject, "format": "text", "body": "2"})
        browser.post(
            "/messages/new", data={"subject": subject, "format": "text", "body": "2", "language": "xx"}
        )

    languages = session.scalars(select(Message.language).order_by(Message.id)).all()
    assert languages == ["en", "en", "ru", "ru", "ru", "ru"]


def test_a_design_follows_the_message_into_another_language(
    browser: FlaskClient, session: Session, user: User
) -> None:
    starter = read_starter(PLAIN_KEY, "en", "")
    browser.post("/messages/new", data=starter)
    message = session.scalars(select(Message)).one()

    browser.post(f"/messages/{message.id}/edit", data=starter | {"language": "ru"})

    letter = get_letter(browser, message)
    assert '<html lang="ru">' in letter
    assert "Отписаться" in letter
    assert "Письмо для" in letter
    assert "Unsubscribe" not in letter
    copy_page = browser.post(f"/messages/{message.id}/duplicate").location
    assert soup(browser.get(copy_page)).select_one("option[value=ru][selected]") is not None


def test_a_page_in_another_language_keeps_its_language(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(
        owner=user, format="html", body='<html lang="de"><body>Hallo</body></html>', language="en"
    )

    assert '<html lang="de">' in get_letter(browser, message)


@pytest.mark.both_engines
def test_a_run_sends_the_letter_in_its_language(
    browser: FlaskClient, user: User, smtp: SmtpServer, work: Callable[[], None], session: Session
) -> None:
    message = MessageFactory.create(owner=user, format="text", subject="SALE", body="50% OFF", language="ru")
    ClientFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user, message=message)
    browser.post(f"/mailings/{mailing.id}/start")
    work()

    (letter,) = smtp.letters
    part = letter.parsed.get_body(("plain",))
    assert part is not None
    assert "Отписаться" in str(part.get_content())
