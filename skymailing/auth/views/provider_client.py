"""Communicate with the OpenID Connect provider through Authlib: the code flow with PKCE, state and nonce.

The provider's address comes from the settings, so the web server may contact it. Each sign-in fetches one
token; the provider's metadata and keys are fetched once.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import current_app, session
from flask.typing import ResponseReturnValue

from skymailing.auth.identities import Claims
from skymailing.errors import UserError
from skymailing.settings.oidc import OidcSettings

logger = logging.getLogger(__name__)

NAME = "provider"  # in the keys of session values
TIMEOUT = 5  # seconds for each answer of the provider
LOGGED = 300  # characters of an error's text
MAX_SUBJECT = 255  # characters, as OpenID Connect allows


class ProviderError(UserError):
    """The provider cannot be reached, or has not signed the person in."""


def oidc_settings() -> OidcSettings:
    settings: OidcSettings = current_app.config["OIDC"]
    return settings


def redirect_to_provider(callback: str) -> ResponseReturnValue:
    """Redirect to the provider, which sends the browser back to `callback`. Raises ProviderError."""
    for key in [key for key in session if key.startswith(f"_state_{NAME}_")]:
        del session[key]  # abandoned attempts would fill the cookie
    with _explaining_errors():
        response: ResponseReturnValue = _get_client().authorize_redirect(callback)
    return response


def read_claims() -> Claims:
    """Return the provider's claims about the person who has returned from it. Raises ProviderError."""
    with _explaining_errors():
        claims = _get_client().authorize_access_token()["userinfo"]
        issuer, subject = str(claims["iss"]), str(claims["sub"])
    audience = claims.get("aud")
    is_for_us = oidc_settings().client_id in (audience if isinstance(audience, list) else [audience])
    is_subject = 0 < len(subject) <= MAX_SUBJECT and subject.isprintable()
    if issuer.rstrip("/") != oidc_settings().issuer.rstrip("/") or not is_for_us or not is_subject:
        logger.warning("The OpenID Connect provider sent a token that is not for us, or without a subject")
        raise ProviderError("provider_failed", name=oidc_settings().name)
    email, name = claims.get("email"), claims.get("name")
    return Claims(issuer, subject, _read_text(email), claims.get("email_verified") is True, _read_text(name))


def _read_text(value: object) -> str:
    """Return a string without characters that databases refuse; empty for other types."""
    return value.encode(errors="ignore").decode().replace("\0", "") if isinstance(value, str) else ""


@contextmanager
def _explaining_errors() -> Iterator[None]:
    """Raise ProviderError for any error."""
    try:
        yield
    except Exception as error:  # from requests, from Authlib, or because of malformed metadata or tokens
        raise _explain(error) from error


def _explain(error: Exception) -> ProviderError:
    name = oidc_settings().name
    if getattr(error, "error", "") == "access_denied":
        return ProviderError("provider_cancelled", name=name)
    # The text may come from the visitor's browser.
    logger.warning("Signing in with %s failed: %s: %s", name, type(error).__name__, str(error)[:LOGGED])
    return ProviderError("provider_failed", name=name)


def _get_client() -> Any:
    """Return this process's client for the provider, created at first use."""
    from authlib.integrations.flask_client import OAuth

    from skymailing.auth.views.provider_session import ProviderApp  # imports Authlib, which takes a while

    settings = oidc_settings()
    client = current_app.extensions.get("skymailing_oidc")
    if client is None:
        options = {
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT,
        }
        client = OAuth(current_app).register(
            NAME,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs=options,
            client_cls=ProviderApp,
        )
        current_app.extensions["skymailing_oidc"] = client
    return client
