"""Test that simultaneous requests and killed processes leave neither duplicates nor partial results."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Client, Consent, FormDay, OutboxLetter, Signup, SignupForm, SignupMailbox, User
from skymailing.outbox.signup_letters import make_signup_token
from skymailing.signup.confirmation import confirm_signup
from skymailing.signup.protection import Visitor as Origin
from skymailing.signup.requests import Request, request_signup
from tests.mailings.pages import get_main_text
from tests.processes.service import wait_until
from tests.signup.people import EMAIL, ENTERED, Visitor, count_letters, path_of, read_fields
from tests.support.signup_factories import SignupFormFactory

_forks = multiprocessing.get_context("forkserver")


def make_links(app: Flask, session: Session) -> list[str]:
    """Return the path of the confirmation page of each request."""
    with app.app_context():
        signups = db.session.scalars(select(Signup).order_by(Signup.id)).all()
        return [f"{path_of(signup.form)}/confirm/{make_signup_token(signup)}" for signup in signups]


def run_at_once(function: Callable[[str], int], arguments: list[str]) -> set[int]:
    with ThreadPoolExecutor(len(arguments)) as pool:
        return set(pool.map(function, arguments))


def test_a_form_that_is_submitted_ten_times_at_once_causes_one_letter(
    app: Flask, session: Session, form: SignupForm
) -> None:
    fields = read_fields(Visitor(app).submit(form))

    def submit(_number: str) -> int:
        return Visitor(app).post(path_of(form), fields | ENTERED).status_code

    assert run_at_once(submit, [""] * 10) == {200}
    assert count_letters(session) == 1
    assert session.scalars(select(Signup.requests)).all() == [10]
    assert session.scalars(select(FormDay.requested)).all() == [1]


def test_a_link_in_several_tabs_confirms_once(app: Flask, session: Session, form: SignupForm) -> None:
    Visitor(app).sign_up(form)
    links = make_links(app, session) * 5
    assert run_at_once(lambda link: Visitor(app).post(link, {}).status_code, links) == {200}
    assert session.scalar(select(func.count()).select_from(Client)) == 1
    assert session.scalar(select(func.count()).select_from(Consent)) == 2
    assert session.scalars(select(FormDay.confirmed)).all() == [1]


def test_two_forms_confirmed_at_once_add_one_client(
    app: Flask, session: Session, user: User, form: SignupForm
) -> None:
    for target in (form, *(SignupFormFactory.create(owner=user) for _ in range(4))):
        Visitor(app).sign_up(target)
    links = make_links(app, session)
    assert len(links) == 5
    assert run_at_once(lambda link: Visitor(app).post(link, {}).status_code, links) == {200}
    assert session.scalars(select(Client.email)).all() == [EMAIL]
    assert session.scalar(select(func.count()).select_from(Consent)) == 10


def request_and_die(environment: dict[str, str], form_id: int) -> None:
    with create_app(TestingConfig(environment), defer_pages=True).app_context():
        form = db.session.get_one(SignupForm, form_id)
        assert request_signup(form, Request(EMAIL, {}), Origin("192.0.2.7"), utcnow())
        os.kill(os.getpid(), signal.SIGKILL)


def confirm_and_die(environment: dict[str, str], uuid: str) -> None:
    with create_app(TestingConfig(environment), defer_pages=True).app_context():
        token = make_signup_token(db.session.scalars(select(Signup)).one())
        confirm_signup(token, uuid, Origin("192.0.2.7"), utcnow())
        os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(function: Callable[..., None], *arguments: object) -> None:
    process = _forks.Process(target=function, args=arguments, daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("repetitions", [2])
def test_a_killed_web_process_leaves_nothing_behind(
    app: Flask, session: Session, form: SignupForm, environment: dict[str, str], repetitions: int
) -> None:
    for _ in range(repetitions):
        run_until_killed(request_and_die, environment, form.id)
        for table in Signup, SignupMailbox, OutboxLetter, FormDay:
            assert session.scalar(select(table)) is None
    assert "Check your email" in get_main_text(Visitor(app).sign_up(form))
    for _ in range(repetitions):
        run_until_killed(confirm_and_die, environment, form.uuid)
        assert session.scalar(select(Client)) is None
        assert session.scalar(select(Consent)) is None
    (link,) = make_links(app, session)
    assert "You are subscribed" in get_main_text(Visitor(app).post(link, {}))
    assert session.scalar(select(func.count()).select_from(Consent)) == 2


@pytest.mark.only_on("postgresql", reason="SQLite has one writer at a time")
def test_a_form_that_is_deleted_during_a_confirmation_causes_no_deadlock(
    app: Flask, session: Session, form: SignupForm
) -> None:
    Visitor(app).sign_up(form)
    (link,) = make_links(app, session)
    with ThreadPoolExecutor(1) as pool, app.app_context():
        # `delete_form` begins with the same lock.
        db.session.execute(select(SignupForm).where(SignupForm.id == form.id).with_for_update())
        status = pool.submit(lambda: Visitor(app).post(link, {}).status_code)
        wait_until(lambda: count_waiting_for_locks(session) == 1, "the confirmation waits for the form")
        db.session.execute(delete(SignupForm).where(SignupForm.id == form.id))
        db.session.commit()
        assert status.result(10) == 410
    assert session.scalar(select(SignupForm.id)) is None


def count_waiting_for_locks(session: Session) -> int:
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return int(session.scalar(waiting) or 0)
