"""Test that letters with attachments arrive once and complete when workers are killed."""

from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import OnUnknown, User
from tests.faults.workers import add_clients, check_after_kills, live_run
from tests.support.factories import MessageFactory, due_mailing
from tests.support.files import attach, list_attached, make_bytes
from tests.support.servers import SmtpServer

RECIPIENTS, KILLS = 200, 2


def test_letters_with_files_arrive_once_even_if_workers_die(
    app: Flask, environment: dict[str, str], session: Session, user: User, smtp: SmtpServer
) -> None:
    content = make_bytes(60_000)
    message = MessageFactory.create(owner=user)
    attach(message, content, "Прайс.pdf")
    add_clients(session, user, RECIPIENTS)
    mailing = due_mailing(user, message=message, on_unknown=OnUnknown.HOLD)
    with live_run(app, environment, session, mailing) as run:
        run.finish_despite_kills(smtp, RECIPIENTS, KILLS)

    check_after_kills(session, smtp, RECIPIENTS, KILLS)
    assert all(list_attached(letter.parsed) == [("Прайс.pdf", content)] for letter in smtp.letters)
