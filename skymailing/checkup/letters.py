"""Extract from a rendered letter the data that its checks need."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from skymailing.delivery.rendering.html_pieces import PIECE, read_attributes
from skymailing.delivery.rendering.letter import Rendered
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.delivery.rendering.preheader import remove_preheader
from skymailing.delivery.rendering.tracked_links import LinkedPage

IMAGE = re.compile(r"<img\b[^<>]*>", re.IGNORECASE)
ADDRESS = re.compile(r"\(?https?://[^\s()]+\)?", re.IGNORECASE)
# Second-level domains under which countries register names, as in shop.co.uk.
SHARED_LABELS = frozenset("ac co com edu gov net org".split())


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a web page, with its text."""

    url: str
    label: str

    @property
    def host(self) -> str:
        """The host in lowercase; empty if the address is not valid."""
        return read_host(self.url)


@dataclass(frozen=True)
class Letter:
    """A letter as one client gets it.

    `links` are those that its author wrote; `findings` are the codes of the problems found by `readability`.
    """

    subject: str
    html: str  # empty for plain text
    text: str  # the text part
    links: tuple[Link, ...] = ()
    picture_urls: tuple[str, ...] = ()
    picture_bytes: int = 0  # of the pictures that are stored here
    findings: frozenset[str] = frozenset()
    has_unsubscribe_link: bool = True
    brand_address: str = ""
    # The host that links lead through to count clicks; empty if they are not counted.
    click_host: str = ""

    @cached_property
    def prose(self) -> str:
        """The words that a reader sees, without addresses and the descriptions of pictures."""
        if not self.html:
            return ADDRESS.sub(" ", self.text)
        return ADDRESS.sub(" ", html_to_text(IMAGE.sub("", remove_preheader(self.html))))


def read_links(rendered: Rendered, own_sites: Iterable[str]) -> tuple[Link, ...]:
    """Return the links to web pages, without links that we insert, such as the unsubscribe link."""
    if rendered.html:
        links = [Link(link.url, link.label) for link in LinkedPage(rendered.html).links]
    else:
        urls = (url.strip("()").rstrip(".,;:!?") for url in ADDRESS.findall(rendered.text))
        links = [Link(url, "") for url in urls]
    sites = tuple(own_sites)
    return tuple(link for link in links if not link.url.startswith(sites))


def read_picture_urls(html: str) -> tuple[str, ...]:
    """Return the addresses of visible pictures, without single pixels, which count opens."""
    images = [
        read_attributes(piece["attributes"])
        for piece in PIECE.finditer(html)
        if (piece["name"] or "").lower() == "img" and not piece["end"]
    ]
    return tuple(
        image.get("src", "").strip()
        for image in images
        if not {image.get("width", ""), image.get("height", "")} & {"0", "1"}
    )


def read_host(url: str) -> str:
    """Return the host of an address in lowercase; empty if the address is not valid."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def find_site(host: str) -> str:
    """Return the part of a host that its owner registered: shop.co.uk for www.shop.co.uk."""
    labels = host.split(".")
    is_country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SHARED_LABELS
    return ".".join(labels[-3:] if is_country else labels[-2:])
