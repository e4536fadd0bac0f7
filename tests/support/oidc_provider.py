"""Run an OpenID Connect provider on this machine; it signs people in without a prompt."""

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey

CLIENT, SECRET = "skymailing", "a secret of the provider"


class Provider:
    """The provider.

    `claims` are those of the person who signs in next. `changes` damage the ID token, and `description`
    changes the metadata. `redirects` and `padding` (characters) change the answers, by path.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        self.claims: dict[str, Any] = {"sub": "42", "email": "anna@example.com", "email_verified": True}
        self.changes: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.description: dict[str, Any] = {}
        self.redirects: dict[str, str] = {}
        self.padding: dict[str, int] = {}
        self.requested: list[str] = []
        self.published: RSAKey | None = None  # published instead of `key`, which signs the tokens
        self.before_tokens: Callable[[], None] = lambda: None

    def authorize(self, url: str) -> str:
        """Return the URL to which the provider redirects a browser that requests this URL."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form: dict[str, list[str]]) -> dict[str, Any] | None:
        """Return the tokens for a code; None if the code or its verifier is wrong."""
        asked = self.codes.pop(form["code"][0], None)
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        if asked is None or asked["code_challenge"] != urlsafe_b64encode(digest).decode().rstrip("="):
            return None
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        content = json.dumps(claims | self.claims | self.changes)  # escapes what UTF-8 cannot contain
        token = jws.serialize_compact({"alg": "RS256", "kid": "1"}, content, self.key)
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": token}

    def describe(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        } | self.description


def make_handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    """Return a class that handles HTTP requests for the provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/keys":
                self.answer({"keys": [(provider.published or provider.key).as_dict(private=False)]})
            else:
                self.answer(provider.describe())

        def do_POST(self) -> None:
            provider.before_tokens()
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            tokens = provider.exchange(form)
            self.answer(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

        def answer(self, value: dict[str, Any], status: int = 200) -> None:
            provider.requested.append(self.path)
            target = provider.redirects.get(self.path)
            content = json.dumps(value).encode() + b" " * provider.padding.get(self.path, 0)
            self.send_response(307 if target else status)
            if target:
                self.send_header("Location", target)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@contextmanager
def run_provider() -> Iterator[Provider]:
    """Run a provider on a free port."""
    provider = Provider("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(provider))
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
