"""Read the settings of an OpenID Connect provider with whose accounts people may sign in."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from skymailing.errors import ConfigurationError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """The provider; without an issuer, people sign in with passwords and passkeys only."""

    issuer: str = ""
    client_id: str = ""
    client_secret: str = ""
    name: str = ""  # on the button
    creates_users: bool = False  # whether people without an account get one

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], creates_users: bool) -> "OidcSettings":
        """Return the values of OIDC_...; raises ConfigurationError."""
        names = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
        issuer, client_id, secret = (environ.get(name, "").strip() for name in names)
        if not (issuer or client_id or secret):
            return cls()
        if not (issuer and client_id and secret):
            raise ConfigurationError(f"Set all of {', '.join(names)}, or none of them.")
        host = _check_issuer(issuer)
        return cls(issuer, client_id, secret, environ.get("OIDC_NAME", "").strip() or host, creates_users)


def _check_issuer(issuer: str) -> str:
    """Return the issuer's host."""
    if not is_safe_url(issuer) or "?" in issuer or "#" in issuer:
        example = "https://accounts.example.com"
        raise ConfigurationError(f"OIDC_ISSUER must be a URL like {example}, not {issuer!r}.")
    return urlsplit(issuer).hostname or ""


def is_safe_url(text: str) -> bool:
    """Return whether the client secret may be sent to an address: over HTTPS, or on this machine."""
    try:
        url = urlsplit(text)
        host = url.hostname or ""
    except ValueError:
        return False
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and host in LOOPBACK))
