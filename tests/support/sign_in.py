"""Sign users in without the login page, which tests/auth covers."""

from http.cookies import SimpleCookie

from flask import Flask, Response
from flask.testing import FlaskClient

from skymailing.auth.views.session import renew_session
from skymailing.extensions import db
from skymailing.models import User


def start_session(app: Flask, user: User) -> FlaskClient:
    """Start a session for a user as the login page does, and return a browser with its cookie.

    Requesting the page took most of the time of a short test.
    """
    # Not a GET, because on SQLite its transaction could not wait for another writer.
    with app.test_request_context(method="POST"):
        renew_session(db.session.get_one(User, user.id), remember=False)
        db.session.commit()
        headers = app.process_response(Response()).headers
    browser = app.test_client()
    for cookie in SimpleCookie("; ".join(headers.getlist("Set-Cookie"))).values():
        browser.set_cookie(cookie.key, cookie.value)
    return browser
