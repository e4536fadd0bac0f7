"""Find the links of a letter, and parse their addresses."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from skymailing.delivery.rendering.content import Content, convert_markdown
from skymailing.delivery.rendering.html_pieces import ATTRIBUTE, PIECE, unescape_attribute
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.errors import UserError
from skymailing.models import MessageFormat
from skymailing.safe_http.urls import HOST, KEPT, LEAST_OTHER_PORT, TLS_PORT

MOST_LINKS = 50
MAX_URL = 2_000  # characters
WEB = re.compile(r"https?://", re.IGNORECASE)
IN_TEXT = re.compile(r"https?://[^\s<>\"'()]{1,2000}", re.IGNORECASE)
PORTS = {"http": 80, "https": TLS_PORT}


class NotAllowed(UserError):
    """The address does not belong to the public internet, or is malformed."""

    def __init__(self) -> None:
        super().__init__("link_not_allowed")


@dataclass(frozen=True, slots=True)
class FoundLinks:
    """The addresses to check, without duplicates, and how many links are skipped."""

    urls: list[str]
    skipped: int


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of an address."""

    is_encrypted: bool
    host: str
    port: int
    path: str  # with the query, as in the request line

    @property
    def host_header(self) -> str:
        default = PORTS["https" if self.is_encrypted else "http"]
        return self.host if self.port == default else f"{self.host}:{self.port}"


def find_links(content: Content, own_site: str) -> FoundLinks:
    """Return a letter's links to other sites.

    Links with client values, such as the unsubscribe link, are skipped: they differ for each recipient.
    """
    urls: dict[str, None] = {}
    personal: set[str] = set()
    masked = MaskedSource(content.body)
    for url in _list_urls(masked, content.format):
        if masked.mark in url:
            personal.add(url)
        elif WEB.match(url) and not url.startswith(own_site):
            urls[url.partition("#")[0][:MAX_URL]] = None
    chosen = list(urls)[:MOST_LINKS]
    return FoundLinks(chosen, len(personal) + len(urls) - len(chosen))


def _list_urls(masked: MaskedSource, format: MessageFormat) -> list[str]:
    if format is MessageFormat.TEXT:
        return [found[0].rstrip(".,;:!?") for found in IN_TEXT.finditer(masked.text)]
    html = convert_markdown(masked.text) if format is MessageFormat.MARKDOWN else masked.text
    urls = []
    for piece in PIECE.finditer(html):
        if piece["end"] or (piece["name"] or "").lower() not in ("a", "area"):
            continue
        for attribute in ATTRIBUTE.finditer(piece["attributes"]):
            value = attribute["value"] or ""
            if attribute["name"].lower() == "href":
                quoted = value[:1] in ('"', "'")
                urls.append(unescape_attribute(value[1:-1] if quoted else value).strip())
    return urls


def parse_target(url: str) -> Target:
    """Return the parts of an http(s) address; raises NotAllowed."""
    # urlsplit would remove line breaks and tabs.
    has_invisible = any(character.isspace() or not character.isprintable() for character in url)
    if len(url) > MAX_URL or has_invisible or "\\" in url:
        raise NotAllowed
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        host = (parts.hostname or "").rstrip(".").encode("idna").decode().lower()
    except (ValueError, KeyError) as error:  # including UnicodeError
        raise NotAllowed from error
    if HOST.fullmatch(host) is None or "@" in parts.netloc:
        raise NotAllowed
    if port not in PORTS.values() and port < LEAST_OTHER_PORT:
        raise NotAllowed
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, quote(path, safe=KEPT))
