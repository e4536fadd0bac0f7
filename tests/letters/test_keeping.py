"""Test what happens to transactional letters later: the pages, the export, retention, and deletion."""

import json
from collections.abc import Callable
from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing import jobs, turns
from skymailing.auth import deletion
from skymailing.auth.export.letters import read_contents, read_letters
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Delivery, LetterContent, Mailing, Run, RunState, TransactionalLetter, User
from skymailing.retention.batches import remove_letters
from skymailing.turns import Turn
from tests.letters.conftest import Send
from tests.support.factories import UserFactory
from tests.support.letter_factories import create_letter
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def test_the_owner_finds_a_letter_by_address_and_reference(
    send: Send, browser: FlaskClient, smtp: SmtpServer, work: Work
) -> None:
    sent = send(reference="order-17")
    send(to="boris@example.org")
    work()
    for text in ("ANNA@", "order-17"):
        page = browser.get("/letters/", query_string={"q": text}).text
        assert "anna@example.org" in page
        assert "boris@example.org" not in page
    assert "anna@example.org" not in browser.get("/letters/?state=failed").text
    page = browser.get(f"/letters/{sent['id']}").text
    assert "250" in page
    assert "12,50" in page


def test_pages_show_the_subject_that_the_recipient_sees(send: Send, browser: FlaskClient) -> None:
    sent = send(subject="Order {{ n }} of {{ name }}", body="Paid", name="Ann", values={"n": "<17>"})
    for path in ("/letters/", f"/letters/{sent['id']}"):
        assert "Order &lt;17&gt; of Ann" in browser.get(path).text


def test_letters_are_not_among_mailings(
    send: Send, browser: FlaskClient, session: Session, smtp: SmtpServer, work: Work
) -> None:
    send()
    work()
    mailing_id = session.execute(select(Mailing.id)).scalar_one()
    name = "Transactional emails"
    for path in ("/mailings/", "/"):
        assert name not in browser.get(path).text
    assert browser.get(f"/mailings/{mailing_id}").location == "/letters/"
    assert name in browser.get("/logs/").text  # every attempt is in the log
    assert name in browser.get("/reports/").text


def test_the_export_has_contents_and_values(app: Flask, session: Session, user: User) -> None:
    create_letter(user)
    create_letter(UserFactory.create(), "other@example.org")
    with app.app_context():
        (letter,), (content,) = list(read_letters(user.id)), list(read_contents(user.id))
    assert (letter["email"], letter["values"]) == ("anna@example.org", {"total": 1})
    assert (content["id"], content["body"]) == (letter["content_id"], "Total: {{ total }}")
    assert "owner_id" not in json.dumps(letter, default=str)


def test_retention_removes_a_content_with_its_last_letter(app: Flask, session: Session, user: User) -> None:
    create_letter(user)
    session.execute(update(LetterContent).values(used_at=utcnow() - timedelta(days=2)))
    run_id = session.execute(select(Run.id)).scalar_one()
    with app.app_context():
        assert remove_letters(run_id) == (1, 0)
        assert remove_letters(run_id) == (0, 0)
    for model in (Delivery, TransactionalLetter, LetterContent):
        assert session.scalar(select(func.count()).select_from(model)) == 0


def test_deleting_an_account_cancels_its_letters_and_removes_them(
    app: Flask, session: Session, user: User
) -> None:
    create_letter(user)
    other = UserFactory.create()
    create_letter(other)
    session.execute(update(User).where(User.id == user.id).values(deletion_at=utcnow()))
    with app.app_context():
        while deletion.erase_slice(user.id, utcnow(), lambda _seconds: True):
            pass
    session.expire_all()
    assert session.scalars(select(Mailing.owner_id)).all() == [other.id]
    assert session.scalars(select(LetterContent.owner_id)).all() == [other.id]
    assert session.scalars(select(TransactionalLetter.owner_id)).all() == [other.id]


def test_letters_come_before_the_mailings_of_all_owners(app: Flask, session: Session) -> None:
    with app.app_context():
        turns.add([Turn(1, 10, 0), Turn(2, 20, 0)])
        turns.add([Turn(3, 30, turns.URGENT), Turn(1, 11, turns.URGENT)])
        served = [turns.take() for _ in range(4)]
        assert {served[0], served[1]} == {Turn(3, 30, turns.URGENT), Turn(1, 11, turns.URGENT)}
        assert {served[2], served[3]} == {Turn(1, 10, 0), Turn(2, 20, 0)}


def test_a_worker_in_a_mailing_yields_to_a_letter_after_its_window(app: Flask, session: Session) -> None:
    with app.app_context():
        turns.add([Turn(1, 10, 0)])
        assert not jobs._should_yield(0.1)
        turns.add([Turn(2, 20, turns.URGENT)])
        assert jobs._should_yield(0.1)


def test_a_letter_survives_an_emptied_redis(
    app: Flask, send: Send, session: Session, smtp: SmtpServer, work: Work
) -> None:
    send()
    with app.app_context():
        from skymailing import queue

        queue.connection().flushdb()
        jobs.sweep()
    work()
    assert [letter.to for letter in smtp.letters] == ["anna@example.org"]
    session.expire_all()
    assert session.scalar(select(Run.state)) is RunState.TRANSACTIONAL
    with app.app_context():
        db.session.rollback()
