"""Limit what the OpenID Connect provider can make a web process do, and check what it says about itself.

Its answers must be short, arrive soon and come from where they were requested: a redirect could lead to any
address, and would hand the client secret to it.
"""

import time
from typing import Any

from authlib.integrations.flask_client.apps import FlaskOAuth2App
from authlib.integrations.requests_client import OAuth2Session
from requests import PreparedRequest, RequestException, Response

from skymailing.settings.oidc import is_safe_url

ANSWER_SECONDS = 10  # for the text of an answer; TIMEOUT limits the wait for each part of it
MAX_ANSWER = 512 * 1024  # bytes
PART = 64 * 1024
METADATA_LIFETIME = 3600  # seconds, also of the keys: one that the provider has withdrawn must not stay valid
# Authlib would also pass any other value to the session, as its settings, such as one to verify nothing.
KEPT = ("issuer", "id_token_signing_alg_values_supported", "_loaded_at")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class BadAnswer(RequestException):
    """The provider's answer is too long, too slow, a redirect, or not that of the provider."""


class ProviderSession(OAuth2Session):
    """A session of requests that follows no redirect and reads a limited answer."""

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send a request and read the whole answer. Raises RequestException."""
        response: Response = super().send(request, **options | {"allow_redirects": False, "stream": True})
        try:
            if response.is_redirect:
                raise BadAnswer(f"{_name(request)} redirects to another address")
            response._content = _read(response, _name(request))
        finally:
            response.close()
        return response


def _read(response: Response, name: str) -> bytes:
    """Return the answer's text. Raises BadAnswer."""
    ends_at, content = time.monotonic() + ANSWER_SECONDS, b""
    # Unlike read(), read1() returns after each part that arrives.
    while part := response.raw.read1(PART, decode_content=True):
        content += part
        if len(content) > MAX_ANSWER:
            raise BadAnswer(f"{name} answers with too much text")
        if time.monotonic() > ends_at:
            raise BadAnswer(f"{name} answers too slowly")
    return content


def _name(request: PreparedRequest) -> str:
    """Return the requested address without its query, for the log."""
    return str(request.url).partition("?")[0]


class ProviderApp(FlaskOAuth2App):
    """Authlib's client, which reads the provider's metadata again every hour."""

    client_cls = ProviderSession
    server_metadata: dict[str, Any]

    def load_server_metadata(self) -> dict[str, Any]:
        """Return the metadata. Raises BadAnswer, after which they are requested again next time."""
        if time.time() - self.server_metadata.get("_loaded_at", 0) > METADATA_LIFETIME:
            self.server_metadata = {}
            described = super().load_server_metadata()
            self.server_metadata = {
                name: described[name] for name in (*KEPT, *ENDPOINTS) if name in described
            }
        metadata = self.server_metadata
        issuer = self._server_metadata_url.removesuffix(".well-known/openid-configuration")
        is_ours = str(metadata.get("issuer")).rstrip("/") == issuer.rstrip("/")
        if not is_ours or not all(is_safe_url(str(metadata.get(name))) for name in ENDPOINTS):
            self.server_metadata = {}
            raise BadAnswer(f"{issuer} does not describe the provider in OIDC_ISSUER, or without HTTPS")
        return metadata
