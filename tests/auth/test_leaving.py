"""Request the deletion of an account, and cancel the request."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.auth import deletion_requests
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import AuditAction, AuditEntry, MailingState, Role, User
from tests.auth.account_data import create_account_data
from tests.auth.authenticator import App
from tests.conftest import PASSWORD, SignIn
from tests.support.archives import ArchiveEntryFactory, ArchiveFactory, link_to
from tests.support.factories import DeliveryFactory, MailingFactory, UserFactory, due_mailing
from tests.support.servers import SmtpServer
from tests.support.signup_factories import SignupFormFactory


def get_text(page: str) -> str:
    return BeautifulSoup(page, "html.parser").get_text(" ", strip=True)


def test_the_page_lists_what_will_be_deleted(session: Session, user: User, browser: FlaskClient) -> None:
    create_account_data(session, user)
    due_mailing(user)
    page = get_text(browser.get("/auth/profile/delete").text)
    for item in ("3 clients", "2 messages", "2 mailings", "1 mailing that is running", "after 7 days"):
        assert item in page, item
    assert "stays in the blog" in page
    assert "/auth/profile/delete" in browser.get("/auth/profile").text


@pytest.mark.parametrize("password", ["", "not my password"])
def test_deletion_needs_the_password(
    session: Session, user: User, browser: FlaskClient, password: str
) -> None:
    assert browser.post("/auth/profile/delete", data={"current_password": password}).status_code == 200
    session.refresh(user)
    assert user.deletion_at is None
    assert browser.get("/clients/").status_code == 200


def test_with_two_factor_a_stolen_session_and_password_are_not_enough(
    session: Session, user: User, browser: FlaskClient, sign_in: SignIn
) -> None:
    stolen = sign_in(user)
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=False) as clock:
        phone = App(stolen)  # signs out the other browser
        clock.shift(60)
        page = "/auth/profile/delete"
        for code in ({}, {"code": ""}, {"code": "000000"}):
            response = stolen.post(page, data={"current_password": PASSWORD} | code)
            assert 'id="code-error"' in response.text
        response = stolen.post(page, data={"current_password": "a guess", "code": phone.recovery[0]})
        assert "not your current password" in response.text
        session.refresh(user)
        assert user.deletion_at is None

        response = stolen.post(page, data={"current_password": PASSWORD, "code": phone.recovery[0]})
        assert response.location == "/auth/login"
    session.refresh(user)
    assert user.deletion_at is not None


def test_a_request_pauses_mailings_signs_out_everywhere_and_sends_a_letter(
    session: Session,
    user: User,
    browser: FlaskClient,
    sign_in: SignIn,
    work: Callable[[], None],
    smtp: SmtpServer,
) -> None:
    phone = sign_in(user)
    running = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    scheduled = due_mailing(user, next_run_at=utcnow() + timedelta(hours=1))
    draft = MailingFactory.create(owner=user)

    response = browser.post("/auth/profile/delete", data={"current_password": PASSWORD})
    work()

    assert response.location.endswith("/auth/login")
    for device in (browser, phone):
        assert device.get("/clients/").status_code == 302
    session.expire_all()
    assert user.deletion_at is not None
    assert abs(user.deletion_at - utcnow() - timedelta(days=7)) < timedelta(minutes=1)
    assert [mailing.state for mailing in (running, scheduled, draft)] == [
        MailingState.PAUSED,
        MailingState.PAUSED,
        MailingState.DRAFT,
    ]
    date = f"{user.deletion_at:%Y-%m-%d %H:%M} UTC"
    assert [letter.to for letter in smtp.letters if date in letter.text] == [user.email]
    assert session.scalars(select(AuditEntry.action)).all() == [AuditAction.ACCOUNT_DELETION_ASKED]


def test_the_deletion_can_be_cancelled_during_the_grace_period(
    session: Session, user: User, browser: FlaskClient, sign_in: SignIn
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    browser.post("/auth/profile/delete", data={"current_password": PASSWORD})
    returned = sign_in(user)

    for path in ("/", "/clients/", "/mailings/new", "/auth/profile"):
        assert returned.get(path).location == "/auth/profile/leaving", path
    assert returned.post(f"/mailings/{mailing.id}/resume").location == "/auth/profile/leaving"
    assert "and all its data will be deleted on" in returned.get("/auth/profile/leaving").text
    assert returned.get("/auth/profile/export.zip").status_code == 200
    assert returned.post("/auth/profile/leaving").status_code == 302

    session.expire_all()
    assert user.deletion_at is None
    assert mailing.state is MailingState.PAUSED
    assert "Paused because the deletion" in returned.get(f"/mailings/{mailing.id}").text
    assert returned.get("/clients/").status_code == 200


def test_public_pages_remain_open_to_a_user_whose_deletion_is_pending(
    app: Flask, session: Session, user: User, sign_in: SignIn
) -> None:
    """These pages belong to other people, such as the owner of a form."""
    form, entry = SignupFormFactory.create(), ArchiveEntryFactory.create()
    archive = ArchiveFactory.create(owner=entry.mailing.owner)
    delivery = DeliveryFactory.create()
    user.deletion_at = utcnow() + timedelta(days=7)
    session.flush()
    paths = (
        *(f"/f/{form.uuid}", f"/archive/{archive.slug}/", f"/archive/{archive.slug}/{entry.slug}"),
        *(link_to(app, delivery), "/brand/colors/0b5fa5.css"),
    )
    returned = sign_in(user)
    assert [returned.get(path).status_code for path in paths] == [200] * len(paths)


def test_a_started_deletion_cannot_be_cancelled(app: Flask, session: Session) -> None:
    user = UserFactory.create(deletion_at=utcnow() - timedelta(seconds=1))
    with app.app_context(), pytest.raises(deletion_requests.TooLate):
        deletion_requests.cancel_deletion(
            db.session.get_one(User, user.id), utcnow(), Actor(user.id, user.email)
        )


def test_the_last_administrator_cannot_request_deletion(session: Session, sign_in: SignIn) -> None:
    admin = UserFactory.create(role=Role.ADMIN)
    page = sign_in(admin).post("/auth/profile/delete", data={"current_password": PASSWORD}).text
    assert "last administrator" in page
    session.refresh(admin)
    assert admin.deletion_at is None


def test_managers_see_a_pending_deletion(session: Session, sign_in: SignIn) -> None:
    user = UserFactory.create(deletion_at=utcnow() + timedelta(days=1))
    page = sign_in(UserFactory.create(role=Role.MANAGER)).get(f"/manager/users/{user.id}/").text
    assert "deletion scheduled" in page
