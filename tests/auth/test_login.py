"""Sign in and sign out."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.models import User
from tests.conftest import SignIn
from tests.support.factories import PASSWORD, UserFactory

# Passwords, cookies and redirects do not depend on the database.
pytestmark = pytest.mark.one_engine

PRIVATE_PAGE = "/auth/profile"


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get(PRIVATE_PAGE).status_code == 200


def log_in(
    browser: FlaskClient, email: str, password: str = PASSWORD, query: str = "", **more: str
) -> TestResponse:
    return browser.post(f"/auth/login{query}", data={"email": email, "password": password, **more})


def test_sign_in_with_the_right_password_and_sign_out(visitor: FlaskClient, user: User) -> None:
    assert log_in(visitor, user.email).status_code == 302
    assert is_signed_in(visitor)
    assert visitor.post("/auth/logout").status_code == 302
    assert not is_signed_in(visitor)


def test_case_and_spaces_around_the_address_do_not_matter(visitor: FlaskClient, user: User) -> None:
    assert log_in(visitor, f"  {user.email.upper()} ").status_code == 302


def test_signing_out_needs_a_post_request(browser: FlaskClient) -> None:
    assert browser.get("/auth/logout").status_code == 405
    assert is_signed_in(browser)


def test_wrong_password_and_unknown_address_get_the_same_response(visitor: FlaskClient, user: User) -> None:
    wrong = log_in(visitor, user.email, "not this one")
    unknown = log_in(visitor, "no-one@example.com", "not this one")
    assert "Wrong email address or password." in wrong.text
    assert wrong.status_code == unknown.status_code
    assert wrong.text.replace(user.email, "") == unknown.text.replace("no-one@example.com", "")
    assert not is_signed_in(visitor)


def test_private_page_redirects_to_login_and_back(visitor: FlaskClient, user: User) -> None:
    response = visitor.get(PRIVATE_PAGE)
    assert response.status_code == 302
    assert response.location == "/auth/login?next=%2Fauth%2Fprofile"
    assert visitor.get(response.location).status_code == 200
    assert log_in(visitor, user.email, query="?next=%2Fauth%2Fprofile").location == PRIVATE_PAGE


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)"],
)
def test_login_never_redirects_to_another_site(visitor: FlaskClient, user: User, target: str) -> None:
    response = visitor.post(
        "/auth/login", query_string={"next": target}, data={"email": user.email, "password": PASSWORD}
    )
    assert response.status_code == 302
    assert "evil" not in response.location
    assert "javascript" not in response.location


def test_unconfirmed_account_is_reported_only_after_the_right_password(
    visitor: FlaskClient, session: Session
) -> None:
    user = UserFactory.create(confirmed_at=None)
    assert "Confirm your address first" not in log_in(visitor, user.email, "not this one").text
    response = log_in(visitor, user.email)
    assert response.status_code == 403
    assert "Send the link again" in response.text
    assert not is_signed_in(visitor)


def test_block_reason_is_shown_only_after_the_right_password(visitor: FlaskClient, session: Session) -> None:
    user = UserFactory.create(blocked_at=utcnow(), blocked_reason="Complaints <about> spam")
    assert "Complaints" not in log_in(visitor, user.email, "not this one").text
    response = log_in(visitor, user.email)
    assert response.status_code == 403
    assert "Complaints &lt;about&gt; spam" in response.text
    assert not is_signed_in(visitor)


@pytest.mark.both_engines
def test_blocked_user_is_signed_out_at_the_next_request(
    browser: FlaskClient, user: User, session: Session
) -> None:
    assert is_signed_in(browser)
    user.blocked_at = utcnow()
    session.flush()
    assert not is_signed_in(browser)


def test_remember_me_outlives_the_browser(app: Flask, visitor: FlaskClient, user: User) -> None:
    log_in(visitor, user.email, remember="y")
    visitor.delete_cookie("session")
    assert is_signed_in(visitor)
    visitor.post("/auth/logout")
    assert visitor.get_cookie("remember_token") is None


def test_without_remember_me_closing_the_browser_signs_out(visitor: FlaskClient, user: User) -> None:
    log_in(visitor, user.email)
    visitor.delete_cookie("session")
    assert not is_signed_in(visitor)


def test_remember_cookie_lasts_thirty_days(visitor: FlaskClient, user: User) -> None:
    log_in(visitor, user.email, remember="y")
    cookie = visitor.get_cookie("remember_token")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.expires is not None
    lifetime = cookie.expires - utcnow()
    assert timedelta(days=29) < lifetime < timedelta(days=31)


def test_remember_cookie_is_invalid_after_the_epoch_changes(
    sign_in: SignIn, visitor: FlaskClient, session: Session
) -> None:
    user = UserFactory.create()
    log_in(visitor, user.email, remember="y")
    user.session_epoch += 1
    session.flush()
    visitor.delete_cookie("session")
    assert not is_signed_in(visitor)


def test_session_is_renewed_at_login(visitor: FlaskClient, user: User) -> None:
    with visitor.session_transaction() as planted:
        planted["planted"] = "by someone else"
    log_in(visitor, user.email)
    with visitor.session_transaction() as renewed:
        assert "planted" not in renewed


@pytest.mark.both_engines
def test_old_hash_is_replaced_at_login(app: Flask, visitor: FlaskClient, session: Session) -> None:
    weak = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    user = UserFactory.create(password_hash=weak)
    log_in(visitor, user.email)
    session.refresh(user)
    assert user.password_hash != weak
    assert log_in(app.test_client(), user.email).status_code == 302


@pytest.mark.both_engines
def test_login_time_is_recorded(visitor: FlaskClient, user: User, session: Session) -> None:
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False):
        log_in(visitor, user.email)
    session.refresh(user)
    assert user.last_login_at is not None
    assert user.last_login_at.isoformat() == "2026-11-22T10:00:00+00:00"


def test_signed_in_user_is_redirected_from_the_login_page(browser: FlaskClient) -> None:
    assert browser.get("/auth/login").status_code == 302
    assert browser.get("/auth/register").status_code == 302


def test_account_pages_are_never_cached(visitor: FlaskClient) -> None:
    assert visitor.get("/auth/login").headers["Cache-Control"] == "no-store"


def test_logout_invalidates_copied_cookies_but_not_other_devices(
    app: Flask, visitor: FlaskClient, sign_in: SignIn, user: User
) -> None:
    other_device = sign_in(user)
    log_in(visitor, user.email, remember="y")
    copies = [visitor.get_cookie("session"), visitor.get_cookie("remember_token")]
    visitor.post("/auth/logout")
    for cookie in copies:
        assert cookie is not None
        thief = app.test_client()
        thief.set_cookie(cookie.key, cookie.value)
        assert not is_signed_in(thief), cookie.key
    assert is_signed_in(other_device)


@pytest.mark.both_engines
def test_control_characters_are_removed_from_the_name(
    browser: FlaskClient, session: Session, user: User
) -> None:
    browser.post("/auth/profile", data={"name": "Anna\0\x1b\r\nBcc: x", "locale": "", "timezone": "UTC"})

    session.refresh(user)
    assert user.name == "Anna Bcc: x"


PARTS = [
    ("get", "/mailings/7/progress?seen=1", "/mailings/7"),
    ("post", "/mailings/preview", "/mailings/new"),
    ("get", "/clients/imports/7?seen=1", "/clients/imports/7?cursor=x"),
]


@pytest.mark.parametrize(("method", "part", "page"), PARTS)
def test_a_request_for_a_part_of_a_page_redirects_the_whole_window_to_sign_in(
    visitor: FlaskClient, method: str, part: str, page: str
) -> None:
    """If the session ends while a page is open, the sign-in page must not be inserted into it."""
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://sky.example{page}"}
    response = getattr(visitor, method)(part, headers=headers)
    assert response.status_code == 401
    assert response.text == ""
    target = urlsplit(response.headers["HX-Redirect"])
    assert (target.path, parse_qs(target.query)) == ("/auth/login", {"next": [page]})


def test_a_forged_page_url_leads_home(visitor: FlaskClient) -> None:
    for forged in (
        "http://sky.example//evil.example",
        "javascript:alert(1)",
        "https:/\\evil.example",
        "http://[",
        "",
    ):
        headers = {"HX-Request": "true", "HX-Current-URL": forged}
        target = urlsplit(visitor.get("/mailings/7/progress", headers=headers).headers["HX-Redirect"])
        assert parse_qs(target.query) == {"next": ["/"]}


def test_a_form_submitted_after_the_session_ended_leads_back_to_its_page(visitor: FlaskClient) -> None:
    response = visitor.post("/mailings/7/start", headers={"Referer": "http://sky.example/mailings/7"})
    assert parse_qs(urlsplit(response.location).query) == {"next": ["/mailings/7"]}


@pytest.mark.parametrize("next_page", ["", "?next=/mailings/7"])
def test_the_sign_in_form_names_its_url(visitor: FlaskClient, next_page: str) -> None:
    """Otherwise, a browser sends the password to the URL of the page that contains the form."""
    assert f'action="/auth/login{next_page}"' in visitor.get(f"/auth/login{next_page}").text
