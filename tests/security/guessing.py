"""Guess passwords like a stranger."""

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def guess(
    app: Flask, email: str, address: str, forwarded: str | None = None, browser: FlaskClient | None = None
) -> TestResponse:
    return (browser or app.test_client()).post(
        "/auth/login",
        data={"email": email, "password": "guessed at"},
        environ_overrides={"REMOTE_ADDR": address},
        headers={"X-Forwarded-For": forwarded} if forwarded else {},
    )
