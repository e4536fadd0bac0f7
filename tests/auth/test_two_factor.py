"""Two-factor authentication: app codes, recovery codes, and attempts to bypass them."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import AuditAction, AuditEntry, OutboxLetter, RecoveryCode, Role, User
from tests.auth.authenticator import PAGE, App
from tests.auth.test_register import read_link
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import SmtpServer

# Codes and pages do not depend on the database.
pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=False) as traveller:
        yield traveller


@pytest.fixture
def phone(clock: time_machine.Traveller, browser: FlaskClient) -> App:
    """Return the app of `user`, who turned on two-factor authentication a minute ago."""
    app = App(browser)
    clock.shift(60)
    return app


def enter_password(browser: FlaskClient, user: User, query: str = "", **more: str) -> TestResponse:
    return browser.post(f"/auth/login{query}", data={"email": user.email, "password": PASSWORD, **more})


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/auth/profile").status_code == 200


def test_the_password_alone_does_not_sign_in(visitor: FlaskClient, user: User, phone: App) -> None:
    response = enter_password(visitor, user, "?next=/clients/")
    assert response.location == "/auth/login/code?next=/clients/"
    assert not is_signed_in(visitor)
    response = visitor.post(response.location, data={"code": phone.code()})
    assert response.location == "/clients/"
    assert is_signed_in(visitor)


@pytest.mark.parametrize("wrong", ["000000", "", "x", "１２３４５６", "12345" * 30, "\0", "' OR 1=1 --"])
def test_a_wrong_code_does_not_sign_in(visitor: FlaskClient, user: User, phone: App, wrong: str) -> None:
    enter_password(visitor, user)
    response = visitor.post("/auth/login/code", data={"code": wrong})
    assert response.status_code == 200
    assert not is_signed_in(visitor)


def test_spaces_and_a_slow_clock_are_accepted(visitor: FlaskClient, user: User, phone: App) -> None:
    enter_password(visitor, user)
    late = phone.code(-1)
    assert visitor.post("/auth/login/code", data={"code": f" {late[:3]} {late[3:]} "}).status_code == 302


@pytest.mark.both_engines
def test_a_code_works_once(app: Flask, visitor: FlaskClient, user: User, phone: App) -> None:
    enter_password(visitor, user)
    code = phone.code()
    assert visitor.post("/auth/login/code", data={"code": code}).status_code == 302
    thief = app.test_client()
    enter_password(thief, user)
    for old in (code, phone.code(-1)):
        assert "already been used" in thief.post("/auth/login/code", data={"code": old}).text
    assert not is_signed_in(thief)


def test_the_setup_code_cannot_be_used_to_sign_in(
    clock: time_machine.Traveller, browser: FlaskClient, visitor: FlaskClient, user: User
) -> None:
    phone = App(browser)
    enter_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": phone.code()}).status_code == 200


@pytest.mark.both_engines
def test_a_recovery_code_works_once(
    app: Flask, visitor: FlaskClient, user: User, phone: App, session: Session
) -> None:
    code = phone.recovery[3]
    enter_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": f" {code.upper()} "}).status_code == 302
    assert "9 recovery codes left" in visitor.get(PAGE).text
    again = app.test_client()
    enter_password(again, user)
    assert again.post("/auth/login/code", data={"code": code}).status_code == 200
    assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 9


@pytest.mark.both_engines
def test_the_key_and_codes_are_not_stored_in_plain_text(
    app: Flask, session: Session, user: User, phone: App, caplog: pytest.LogCaptureFixture
) -> None:
    session.refresh(user)
    stored = user.totp_secret + " ".join(session.scalars(select(RecoveryCode.code_hash)))
    for secret in (phone.secret, *phone.recovery, *(code.replace("-", "") for code in phone.recovery)):
        assert secret not in stored
        assert secret not in caplog.text
    assert phone.secret not in repr(vars(user))


def test_the_key_is_shown_until_it_is_confirmed_and_never_again(
    browser: FlaskClient, phone: App, sign_in: SignIn
) -> None:
    for path in (PAGE, f"{PAGE}/setup", f"{PAGE}/codes", f"{PAGE}/off", "/auth/profile"):
        page = browser.get(path, follow_redirects=True).text
        assert phone.secret not in page.replace(" ", "")
        assert "<svg viewBox" not in page
        assert not any(code in page for code in phone.recovery)


def test_the_qr_code_has_no_style_and_is_not_cached(
    clock: time_machine.Traveller, browser: FlaskClient
) -> None:
    response = browser.post(PAGE, data={"current_password": PASSWORD}, follow_redirects=True)
    drawing = re.search(r"<svg viewBox.*?</svg>", response.text)
    assert drawing is not None
    assert "style" not in drawing[0]
    assert response.headers["Cache-Control"] == "no-store"


def test_turning_on_two_factor_needs_the_password_and_a_code_within_15_minutes(
    clock: time_machine.Traveller, browser: FlaskClient, user: User, session: Session
) -> None:
    assert "not your current password" in browser.post(PAGE, data={"current_password": "guess"}).text
    assert browser.get(f"{PAGE}/setup").status_code == 302
    browser.post(PAGE, data={"current_password": PASSWORD})
    assert "This code is wrong" in browser.post(f"{PAGE}/setup", data={"code": "000000"}).text
    clock.shift(timedelta(minutes=16))
    assert browser.get(f"{PAGE}/setup").status_code == 302
    session.refresh(user)
    assert not user.has_two_factor


def test_an_unfinished_setup_does_not_affect_sign_in(
    clock: time_machine.Traveller, browser: FlaskClient, visitor: FlaskClient, user: User
) -> None:
    browser.post(PAGE, data={"current_password": PASSWORD})
    enter_password(visitor, user)
    assert is_signed_in(visitor)


def test_turning_on_two_factor_signs_out_other_devices_and_sends_a_letter(
    clock: time_machine.Traveller, sign_in: SignIn, browser: FlaskClient, user: User, session: Session
) -> None:
    other = sign_in(user)
    App(browser)
    assert is_signed_in(browser)
    assert not is_signed_in(other)
    letters = session.scalars(select(OutboxLetter.template)).all()
    assert "second-factor-changed" in letters


def test_a_new_setup_does_not_replace_a_confirmed_key(browser: FlaskClient, user: User, phone: App) -> None:
    browser.post(PAGE, data={"current_password": PASSWORD})
    assert browser.get(f"{PAGE}/setup").status_code == 302
    response = browser.post(f"{PAGE}/off", data={"current_password": PASSWORD, "code": phone.code()})
    assert response.status_code == 302


def test_turning_off_two_factor_needs_the_password_and_a_code(
    app: Flask, browser: FlaskClient, user: User, phone: App, session: Session
) -> None:
    for guess in (
        {"current_password": PASSWORD},
        {"code": phone.code()},
        {"current_password": PASSWORD, "code": "000000"},
        {"current_password": "guessed at", "code": phone.code()},
    ):
        assert browser.post(f"{PAGE}/off", data=guess).status_code == 200
    session.refresh(user)
    assert user.has_two_factor
    browser.post(f"{PAGE}/off", data={"current_password": PASSWORD, "code": phone.code()})
    session.refresh(user)
    assert (user.has_two_factor, user.totp_secret) == (False, "")
    assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 0
    visitor = app.test_client()
    enter_password(visitor, user)
    assert is_signed_in(visitor)


def test_new_recovery_codes_replace_the_old_ones(
    browser: FlaskClient, visitor: FlaskClient, user: User, phone: App
) -> None:
    response = browser.post(f"{PAGE}/codes", data={"current_password": PASSWORD, "code": phone.recovery[0]})
    fresh = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", response.text)
    assert len(fresh) == 10
    enter_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": phone.recovery[1]}).status_code == 200
    assert visitor.post("/auth/login/code", data={"code": fresh[0]}).status_code == 302


def test_a_password_reset_does_not_bypass_two_factor(
    app: Flask, user: User, phone: App, smtp: SmtpServer, work: Work
) -> None:
    work()
    smtp.letters.clear()
    visitor = app.test_client()
    visitor.post("/auth/reset", data={"email": user.email})
    work()
    new = {"password": "three odd words", "password_confirm": "three odd words"}
    assert visitor.post(read_link(smtp.letters[-1]), data=new).status_code == 302
    response = visitor.post("/auth/login", data={"email": user.email, "password": "three odd words"})
    assert response.location.startswith("/auth/login/code")
    assert not is_signed_in(visitor)


def test_remember_me_works_only_on_its_device(
    app: Flask, visitor: FlaskClient, user: User, phone: App
) -> None:
    enter_password(visitor, user, remember="y")
    assert visitor.get_cookie("remember_token") is None
    visitor.post("/auth/login/code", data={"code": phone.code()})
    visitor.delete_cookie("session")
    assert is_signed_in(visitor)
    assert enter_password(app.test_client(), user).location.startswith("/auth/login/code")


def test_the_code_must_be_entered_within_ten_minutes(
    clock: time_machine.Traveller, visitor: FlaskClient, user: User, phone: App
) -> None:
    enter_password(visitor, user)
    clock.shift(timedelta(minutes=11))
    response = visitor.post("/auth/login/code", data={"code": phone.code()})
    assert response.location.startswith("/auth/login?") or response.location == "/auth/login"
    assert not is_signed_in(visitor)


@pytest.mark.parametrize("change", [{"blocked_at": utcnow()}, {"session_epoch": 7}])
def test_a_changed_account_cannot_finish_the_sign_in(
    visitor: FlaskClient, user: User, phone: App, session: Session, change: dict[str, object]
) -> None:
    enter_password(visitor, user)
    for name, value in change.items():
        setattr(user, name, value)
    session.flush()
    assert "/auth/login/code" not in visitor.post("/auth/login/code", data={"code": phone.code()}).location
    assert not is_signed_in(visitor)


def test_a_code_without_the_password_is_rejected(visitor: FlaskClient, phone: App) -> None:
    assert visitor.get("/auth/login/code").location == "/auth/login"
    assert visitor.post("/auth/login/code", data={"code": phone.code()}).location == "/auth/login"


def test_recovery_codes_survive_a_new_secret_key(
    app: Flask, visitor: FlaskClient, user: User, phone: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SECRET_KEY", "another key of the service" * 2)
    enter_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": phone.code()}).status_code == 200
    assert visitor.post("/auth/login/code", data={"code": phone.recovery[0]}).status_code == 302


def test_a_reset_by_command_is_audited(
    app: Flask, visitor: FlaskClient, user: User, phone: App, session: Session
) -> None:
    run = app.test_cli_runner().invoke
    assert run(args=["users", "lift-second-step", user.email, "--reason", "lost"]).exit_code == 0
    entry = session.scalar(select(AuditEntry).where(AuditEntry.target_id == user.id))
    assert entry is not None
    assert (entry.action, entry.reason) == (AuditAction.TWO_FACTOR_LIFTED, "lost")
    enter_password(visitor, user)
    assert is_signed_in(visitor)
    again = run(args=["users", "lift-second-step", user.email])
    assert "does not use two-factor authentication" in again.output


def test_managers_are_advised_to_turn_on_two_factor(sign_in: SignIn, session: Session) -> None:
    manager = sign_in(UserFactory.create(role=Role.MANAGER))
    assert f'href="{PAGE}"' in manager.get("/manager/users/").text
    App(manager)
    assert f'href="{PAGE}"' not in manager.get("/manager/users/").text
