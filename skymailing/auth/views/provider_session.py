"""Limit the provider's influence on a web process, and check its metadata.

Its answers must be short, arrive quickly and come from the requested address: a redirect could lead to any
address, which would receive the client secret.
"""

import time
from typing import Any

from authlib.integrations.flask_client.apps import FlaskOAuth2App
from authlib.integrations.requests_client import OAuth2Session
from requests import PreparedRequest, RequestException, Response

from skymailing.settings.oidc import is_safe_url

ANSWER_SECONDS = 10  # for the body of an answer; TIMEOUT limits the wait for each part of it
MAX_ANSWER = 512 * 1024  # bytes
PART = 64 * 1024
METADATA_LIFETIME = 3600  # seconds; applies to the keys, too, so that a withdrawn key does not remain valid
# Authlib would pass other values to the session as settings; one of them could turn off verification.
KEPT = ("issuer", "id_token_signing_alg_values_supported", "_loaded_at")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class BadAnswer(RequestException):
    """The answer is too long, too slow, a redirect, or does not come from the provider."""


class ProviderSession(OAuth2Session):
    """A requests session that follows no redirects and limits the size and duration of answers."""

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send a request and read the answer. Raises RequestException."""
        response: Response = super().send(request, **options | {"allow_redirects": False, "stream": True})
        try:
            if response.is_redirect:
                raise BadAnswer(f"{_name(request)} redirects to another address")
            response._content = _read(response, _name(request))
        finally:
            response.close()
        return response


def _read(response: Response, name: str) -> bytes:
    """Return the answer's body. Raises BadAnswer."""
    ends_at, content = time.monotonic() + ANSWER_SECONDS, b""
    # Unlike read(), read1() returns after each part that arrives.
    while part := response.raw.read1(PART, decode_content=True):
        content += part
        if len(content) > MAX_ANSWER:
            raise BadAnswer(f"the answer of {name} is too long")
        if time.monotonic() > ends_at:
            raise BadAnswer(f"{name} answers too slowly")
    return content


def _name(request: PreparedRequest) -> str:
    """Return the requested address without its query, for the log."""
    return str(request.url).partition("?")[0]


class ProviderApp(FlaskOAuth2App):
    """Authlib's client; it reads the provider's metadata again every hour."""

    client_cls = ProviderSession
    server_metadata: dict[str, Any]

    def load_server_metadata(self) -> dict[str, Any]:
        """Return the metadata. Raises BadAnswer, after which the next call requests them again."""
        if time.time() - self.server_metadata.get("_loaded_at", 0) > METADATA_LIFETIME:
            self.server_metadata = {}
            loaded = super().load_server_metadata()
            self.server_metadata = {name: loaded[name] for name in (*KEPT, *ENDPOINTS) if name in loaded}
        metadata = self.server_metadata
        issuer = self._server_metadata_url.removesuffix(".well-known/openid-configuration")
        is_expected = str(metadata.get("issuer")).rstrip("/") == issuer.rstrip("/")
        if not is_expected or not all(is_safe_url(str(metadata.get(name))) for name in ENDPOINTS):
            self.server_metadata = {}
            raise BadAnswer(f"the metadata of {issuer} has another issuer, or URLs without HTTPS")
        return metadata
