"""Check the address of an endpoint, and split it into its parts for a call."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from skymailing.errors import UserError
from skymailing.models.webhook import URL_MAX_LENGTH
from skymailing.safe_http.urls import HOST, KEPT, LEAST_OTHER_PORT, TLS_PORT


class InvalidUrl(UserError):
    """The address of an endpoint cannot be used."""


@dataclass(frozen=True, slots=True)
class EndpointUrl:
    """The parts of an address."""

    host: str
    port: int
    target: str  # path and query, as in the request line

    def __str__(self) -> str:
        port = "" if self.port == TLS_PORT else f":{self.port}"
        return f"https://{self.host}{port}{self.target}"


def parse_url(text: str) -> EndpointUrl:
    """Return the address in a URL that a user entered; raises InvalidUrl."""
    if len(text) > URL_MAX_LENGTH:
        raise InvalidUrl("webhook_url_too_long", length=URL_MAX_LENGTH)
    parsed = split_url(text.strip())
    try:
        host = parsed.host.rstrip(".").encode("idna").decode()
    except UnicodeError:
        host = ""
    if HOST.fullmatch(host) is None:
        raise InvalidUrl("webhook_url_host")
    if parsed.port != TLS_PORT and parsed.port < LEAST_OTHER_PORT:
        raise InvalidUrl("webhook_url_port", port=LEAST_OTHER_PORT)
    url = EndpointUrl(host, parsed.port, parsed.target)
    if len(str(url)) > URL_MAX_LENGTH:  # escaping makes it longer
        raise InvalidUrl("webhook_url_too_long", length=URL_MAX_LENGTH)
    return url


def split_url(text: str) -> EndpointUrl:
    """Return the parts of an https URL, without checking its host and port; raises InvalidUrl."""
    # urlsplit would remove line breaks and tabs.
    if any(character.isspace() or not character.isprintable() for character in text) or "\\" in text:
        raise InvalidUrl("webhook_url_unreadable")
    try:
        parts = urlsplit(text)
        port = parts.port or TLS_PORT
    except ValueError as error:
        raise InvalidUrl("webhook_url_unreadable") from error
    if parts.scheme != "https":
        raise InvalidUrl("webhook_url_not_https")
    if "@" in parts.netloc:
        raise InvalidUrl("webhook_url_userinfo")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return EndpointUrl((parts.hostname or "").lower(), port, quote(target, safe=KEPT))
