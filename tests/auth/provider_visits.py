"""Visit the service like people who sign in with an account at an OpenID Connect provider."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from skymailing.settings.oidc import OidcSettings
from tests.support.factories import PASSWORD
from tests.support.oidc_provider import CLIENT, SECRET, Provider

PAGE = "/auth/profile/sign-in-accounts"
START = "/auth/login/provider"


def configure(app: Flask, monkeypatch: pytest.MonkeyPatch, provider: Provider, **changes: Any) -> None:
    settings = OidcSettings(provider.url, CLIENT, SECRET, "Example ID")
    monkeypatch.setitem(app.config, "OIDC", replace(settings, **changes))
    app.extensions.pop("skymailing_oidc", None)


def sign_in_at(provider: Provider, browser: FlaskClient, query: str = "") -> Any:
    """Sign in as a browser would; return the response to the return from the provider."""
    start = browser.get(START + query)
    assert start.location.startswith(f"{provider.url}/authorize?"), start.text
    return browser.get(provider.authorize(start.location).replace("http://sky.example", ""))


def connect(provider: Provider, browser: FlaskClient, **code: str) -> Any:
    page = browser.post(PAGE, data={"current_password": PASSWORD, **code})
    assert f'href="{START}"' in page.text, page.text
    return sign_in_at(provider, browser)


def is_signed_in(browser: FlaskClient) -> bool:
    return browser.get("/auth/profile").status_code == 200


def flashes(browser: FlaskClient) -> str:
    return browser.get("/auth/login", follow_redirects=True).text
