"""The second step at sign-in: codes of an app, recovery codes, and what does not get around them."""

import re
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import AuditAction, AuditEntry, OutboxLetter, RecoveryCode, Role, User
from tests.auth.test_register import link_in
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory
from tests.support.servers import SmtpServer

Work = Callable[[], None]
PAGE = "/auth/profile/second-step"


class App:
    """The app on somebody's phone, and the recovery codes on their paper."""

    def __init__(self, browser: FlaskClient) -> None:
        answer = browser.post(PAGE, data={"current_password": PASSWORD}, follow_redirects=True)
        key = re.search(r"<code>([A-Z2-7 ]+)</code>", answer.text)
        assert key is not None, answer.text
        self.secret = key[1].replace(" ", "")
        answer = browser.post(f"{PAGE}/setup", data={"code": self.code()})
        self.recovery = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", answer.text)
        assert len(self.recovery) == 10, answer.text

    def code(self, ahead: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(utcnow(), counter_offset=ahead)


@pytest.fixture
def clock() -> time_machine.Traveller:
    with time_machine.travel(utcnow() + timedelta(hours=1), tick=False) as traveller:
        yield traveller


@pytest.fixture
def phone(clock: time_machine.Traveller, browser: FlaskClient) -> App:
    """The app of `user`, who has turned the second step on a minute ago."""
    app = App(browser)
    clock.shift(60)
    return app


def give_password(browser: FlaskClient, user: User, query: str = "", **more: str):
    return browser.post(f"/auth/login{query}", data={"email": user.email, "password": PASSWORD, **more})


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/auth/profile").status_code == 200


def test_the_password_alone_opens_nothing(visitor: FlaskClient, user: User, phone: App) -> None:
    answer = give_password(visitor, user, "?next=/clients/")
    assert answer.location == "/auth/login/code?next=/clients/"
    assert not is_signed_in(visitor)
    answer = visitor.post(answer.location, data={"code": phone.code()})
    assert answer.location == "/clients/"
    assert is_signed_in(visitor)


@pytest.mark.parametrize("wrong", ["000000", "", "x", "１２３４５６", "12345" * 30, "\0", "' OR 1=1 --"])
def test_a_wrong_code_opens_nothing(visitor: FlaskClient, user: User, phone: App, wrong: str) -> None:
    give_password(visitor, user)
    answer = visitor.post("/auth/login/code", data={"code": wrong})
    assert answer.status_code == 200
    assert not is_signed_in(visitor)


def test_a_code_is_taken_with_a_space_and_with_a_clock_that_is_off(
    visitor: FlaskClient, user: User, phone: App
) -> None:
    give_password(visitor, user)
    late = phone.code(-1)
    assert visitor.post("/auth/login/code", data={"code": f" {late[:3]} {late[3:]} "}).status_code == 302


def test_a_code_is_taken_once(app: Flask, visitor: FlaskClient, user: User, phone: App) -> None:
    give_password(visitor, user)
    code = phone.code()
    assert visitor.post("/auth/login/code", data={"code": code}).status_code == 302
    thief = app.test_client()
    give_password(thief, user)
    for old in (code, phone.code(-1)):
        assert "used already" in thief.post("/auth/login/code", data={"code": old}).text
    assert not is_signed_in(thief)


def test_a_code_that_turned_it_on_signs_nobody_in(
    clock: time_machine.Traveller, browser: FlaskClient, visitor: FlaskClient, user: User
) -> None:
    phone = App(browser)
    give_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": phone.code()}).status_code == 200


def test_a_recovery_code_signs_in_once(
    app: Flask, visitor: FlaskClient, user: User, phone: App, session: Session
) -> None:
    code = phone.recovery[3]
    give_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": f" {code.upper()} "}).status_code == 302
    assert "9 recovery codes left" in visitor.get(PAGE).text
    again = app.test_client()
    give_password(again, user)
    assert again.post("/auth/login/code", data={"code": code}).status_code == 200
    assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 9


def test_neither_key_nor_codes_are_kept_readable(
    app: Flask, session: Session, user: User, phone: App, caplog: pytest.LogCaptureFixture
) -> None:
    session.refresh(user)
    kept = user.totp_secret + " ".join(session.scalars(select(RecoveryCode.code_hash)))
    for secret in (phone.secret, *phone.recovery, *(code.replace("-", "") for code in phone.recovery)):
        assert secret not in kept
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


def test_the_picture_holds_no_style_and_is_not_stored(
    clock: time_machine.Traveller, browser: FlaskClient
) -> None:
    answer = browser.post(PAGE, data={"current_password": PASSWORD}, follow_redirects=True)
    picture = re.search(r"<svg viewBox.*?</svg>", answer.text)
    assert picture is not None
    assert "style" not in picture[0]
    assert answer.headers["Cache-Control"] == "no-store"


def test_turning_on_asks_for_the_password_and_a_code_in_time(
    clock: time_machine.Traveller, browser: FlaskClient, user: User, session: Session
) -> None:
    assert "not your present password" in browser.post(PAGE, data={"current_password": "guess"}).text
    assert browser.get(f"{PAGE}/setup").status_code == 302
    browser.post(PAGE, data={"current_password": PASSWORD})
    assert "This code is wrong" in browser.post(f"{PAGE}/setup", data={"code": "000000"}).text
    clock.shift(timedelta(minutes=16))
    assert browser.get(f"{PAGE}/setup").status_code == 302
    session.refresh(user)
    assert not user.has_second_factor


def test_beginning_alone_changes_nothing_at_sign_in(
    clock: time_machine.Traveller, browser: FlaskClient, visitor: FlaskClient, user: User
) -> None:
    browser.post(PAGE, data={"current_password": PASSWORD})
    give_password(visitor, user)
    assert is_signed_in(visitor)


def test_turning_on_signs_other_devices_out_and_a_letter_tells(
    clock: time_machine.Traveller, sign_in: SignIn, browser: FlaskClient, user: User, session: Session
) -> None:
    other = sign_in(user)
    App(browser)
    assert is_signed_in(browser)
    assert not is_signed_in(other)
    letters = session.scalars(select(OutboxLetter.template)).all()
    assert "second-factor-changed" in letters


def test_a_new_setup_does_not_replace_a_key_that_counts(browser: FlaskClient, user: User, phone: App) -> None:
    browser.post(PAGE, data={"current_password": PASSWORD})
    assert browser.get(f"{PAGE}/setup").status_code == 302
    answer = browser.post(f"{PAGE}/off", data={"current_password": PASSWORD, "code": phone.code()})
    assert answer.status_code == 302


def test_turning_off_asks_for_password_and_code(
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
    assert user.has_second_factor
    browser.post(f"{PAGE}/off", data={"current_password": PASSWORD, "code": phone.code()})
    session.refresh(user)
    assert (user.has_second_factor, user.totp_secret) == (False, "")
    assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 0
    visitor = app.test_client()
    give_password(visitor, user)
    assert is_signed_in(visitor)


def test_new_recovery_codes_make_the_old_ones_void(
    browser: FlaskClient, visitor: FlaskClient, user: User, phone: App
) -> None:
    answer = browser.post(f"{PAGE}/codes", data={"current_password": PASSWORD, "code": phone.recovery[0]})
    fresh = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", answer.text)
    assert len(fresh) == 10
    give_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": phone.recovery[1]}).status_code == 200
    assert visitor.post("/auth/login/code", data={"code": fresh[0]}).status_code == 302


def test_a_reset_password_does_not_get_around_it(
    app: Flask, user: User, phone: App, smtp: SmtpServer, work: Work
) -> None:
    work()
    smtp.letters.clear()
    visitor = app.test_client()
    visitor.post("/auth/reset", data={"email": user.email})
    work()
    new = {"password": "three odd words", "password_confirm": "three odd words"}
    assert visitor.post(link_in(smtp.letters[-1]), data=new).status_code == 302
    answer = visitor.post("/auth/login", data={"email": user.email, "password": "three odd words"})
    assert answer.location.startswith("/auth/login/code")
    assert not is_signed_in(visitor)


def test_remember_me_holds_on_the_device_and_only_there(
    app: Flask, visitor: FlaskClient, user: User, phone: App
) -> None:
    give_password(visitor, user, remember="y")
    assert visitor.get_cookie("remember_token") is None
    visitor.post("/auth/login/code", data={"code": phone.code()})
    visitor.delete_cookie("session")
    assert is_signed_in(visitor)
    assert give_password(app.test_client(), user).location.startswith("/auth/login/code")


def test_the_code_has_to_follow_in_ten_minutes(
    clock: time_machine.Traveller, visitor: FlaskClient, user: User, phone: App
) -> None:
    give_password(visitor, user)
    clock.shift(timedelta(minutes=11))
    answer = visitor.post("/auth/login/code", data={"code": phone.code()})
    assert answer.location.startswith("/auth/login?") or answer.location == "/auth/login"
    assert not is_signed_in(visitor)


@pytest.mark.parametrize("change", [{"blocked_at": utcnow()}, {"session_epoch": 7}])
def test_what_happens_to_the_account_meanwhile_counts(
    visitor: FlaskClient, user: User, phone: App, session: Session, change: dict[str, object]
) -> None:
    give_password(visitor, user)
    for name, value in change.items():
        setattr(user, name, value)
    session.flush()
    assert "/auth/login/code" not in visitor.post("/auth/login/code", data={"code": phone.code()}).location
    assert not is_signed_in(visitor)


def test_without_the_password_there_is_nothing_to_enter_a_code_for(visitor: FlaskClient, phone: App) -> None:
    assert visitor.get("/auth/login/code").location == "/auth/login"
    assert visitor.post("/auth/login/code", data={"code": phone.code()}).location == "/auth/login"


def test_another_secret_key_leaves_the_recovery_codes(
    app: Flask, visitor: FlaskClient, user: User, phone: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SECRET_KEY", "another key of the service" * 2)
    give_password(visitor, user)
    assert visitor.post("/auth/login/code", data={"code": phone.code()}).status_code == 200
    assert visitor.post("/auth/login/code", data={"code": phone.recovery[0]}).status_code == 302


def test_an_operator_lifts_it_and_the_audit_log_says_so(
    app: Flask, visitor: FlaskClient, user: User, phone: App, session: Session
) -> None:
    run = app.test_cli_runner().invoke
    assert run(args=["users", "lift-second-step", user.email, "--reason", "lost"]).exit_code == 0
    entry = session.scalar(select(AuditEntry).where(AuditEntry.target_id == user.id))
    assert entry is not None
    assert (entry.action, entry.reason) == (AuditAction.SECOND_FACTOR_LIFTED, "lost")
    give_password(visitor, user)
    assert is_signed_in(visitor)
    again = run(args=["users", "lift-second-step", user.email])
    assert "does not use two-factor authentication" in again.output


def test_who_runs_the_service_is_advised_to_turn_it_on(sign_in: SignIn, session: Session) -> None:
    manager = sign_in(UserFactory.create(role=Role.MANAGER))
    assert f'href="{PAGE}"' in manager.get("/manager/users/").text
    App(manager)
    assert f'href="{PAGE}"' not in manager.get("/manager/users/").text
