"""Find the links of a letter's page, and replace them with links that count clicks.

Some links remain unchanged: those other than http(s), such as mailto: and links within the page; those with
client values, which would be stored, such as the unsubscribe link; and those with the attribute data-plain.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import unescape

from werkzeug.urls import iri_to_uri

from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.delivery.rendering.html_pieces import ATTRIBUTE, PIECE, unescape_attribute
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.web.urls import CLICK_PREFIX, OPEN_PREFIX

# The name of the value with the letter's token, which all of its links contain.
LINK_TOKEN = "tracked_link_token"  # noqa: S105 (a name)
TRACKING_IMAGE_URL = "opened_picture_url"
# A transparent image of one pixel.
BLANK_IMAGE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
TRACKING_TAGS = frozenset(f"{{{{ {name} }}}}" for name in (LINK_TOKEN, TRACKING_IMAGE_URL))
MAX_LINKS = 500
MAX_URL = 2_000  # characters
LABEL_LENGTH = 200
WEB = re.compile(r"https?://[^\s\x00-\x1f\x7f/?#][^\s\x00-\x1f\x7f]*", re.IGNORECASE)
# The end tag of a link, or the start of the next one.
LINK_END = re.compile(r"<(/)a\b[^<>]*>|<a\b", re.IGNORECASE)
ALTERNATIVE = re.compile(r"""<img\b[^<>]*?\balt\s{0,9}=\s{0,9}("[^"]*"|'[^']*')""", re.IGNORECASE)
# Tags, and invisible text: comments, such as those for Outlook, and styles.
UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(style|script)\b.*?(?:</\1\b[^<>]*>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link in a page: the position of its URL, the URL, its text as readers see it, and its end."""

    start: int
    end: int
    url: str
    label: str
    after: int  # the position after the element, or after its start tag if the end is not found


class LinkedPage:
    """The source of a letter's page, with the links that can be tracked, from top to bottom."""

    def __init__(self, source: str) -> None:
        self._masked = MaskedSource(source)
        self.links = _find_links(self._masked)

    def write(self, numbers: Sequence[int], site: str) -> str:
        """Return the page with a link through this service in place of each link."""
        start = f"{site}{CLICK_PREFIX}/{{{{ {LINK_TOKEN} }}}}"
        pieces: list[str] = []
        end, text = 0, self._masked.text
        for link, number in zip(self.links, numbers, strict=True):
            pieces += text[end : link.start], f'"{start}/{number}"'
            end = link.end
        return self._masked.unmask("".join(pieces) + text[end:])

    def add_after(self, additions: Sequence[str]) -> str:
        """Return the page with each addition, as HTML, after its link in `links`."""
        pieces: list[str] = []
        end, text = 0, self._masked.text
        for link, addition in zip(self.links, additions, strict=True):
            pieces += text[end : link.after], addition
            end = link.after
        return self._masked.unmask("".join(pieces) + text[end:])


def _find_links(masked: MaskedSource) -> list[PageLink]:
    links: list[PageLink] = []
    for piece in PIECE.finditer(masked.text):
        name = (piece["name"] or "").lower()
        if piece["end"] or name not in ("a", "area") or len(links) == MAX_LINKS:
            continue
        found = _find_url(piece)
        if found is not None and masked.mark not in found[2]:
            label = "" if name == "area" else _read_label(masked, piece.end())
            links.append(PageLink(*found, label, _find_end(masked.text, piece)))
    return links


def _find_end(text: str, start: re.Match[str]) -> int:
    """Return the end of a link's element: after its end tag, or at the next link."""
    if start["name"].lower() == "area":
        return start.end()
    end = LINK_END.search(text, start.end())
    return start.end() if end is None else end.end() if end[1] else end.start()


def _find_url(piece: re.Match[str]) -> tuple[int, int, str] | None:
    """Return the position of a tag's URL and the URL; None if the tag does not link to a web page."""
    start = piece.start("attributes")
    found = None
    for attribute in ATTRIBUTE.finditer(piece["attributes"]):
        name = attribute["name"].lower()
        if name == "data-plain":
            return None
        if name == "href" and found is None:
            value = attribute["value"] or ""
            url = unescape_attribute(value[1:-1] if value[:1] in ('"', "'") else value).strip()
            found = start + attribute.start("value"), start + attribute.end("value"), url
    if found is None or len(found[2]) > MAX_URL or not WEB.fullmatch(found[2]):
        return None
    return None if to_location(found[2]) is None else found


def to_location(url: str) -> str | None:
    """Return a link's URL in ASCII, as a redirect needs it; None if it is not valid."""
    if not WEB.fullmatch(url):  # for example, a line break would end the header
        return None
    try:
        converted = iri_to_uri(url)
    except ValueError:  # for example, a port that is not a number, or an empty part of a domain
        return None
    return url if url.isascii() else converted


def _read_label(masked: MaskedSource, start: int) -> str:
    """Return the text of a link, or of its image, without tags and client values."""
    content = masked.text[start : start + 5_000]
    content = re.split(r"</a\b", content, maxsplit=1, flags=re.IGNORECASE)[0]
    alternative = ALTERNATIVE.search(content)
    text = UNSEEN.sub(" ", content).strip() or (alternative[1][1:-1] if alternative else "")
    text = re.sub(masked.mark + r"[os]\d+q", "…", text)
    return " ".join(unescape(text).split())[:LABEL_LENGTH]


@dataclass(frozen=True, slots=True)
class Tracking:
    """The tracking in a run's letters: of clicks if `number_links` is given, and of opens if `has_image`."""

    signer: ClickSigner
    site: str  # PUBLIC_URL
    # Returns the number of each link in a page.
    number_links: Callable[[Sequence[PageLink]], Sequence[int]] | None = None
    has_image: bool = False

    def edit(self, page: str) -> str:
        """Return the page with tracked links and the tracking image."""
        if self.number_links is not None:
            linked = LinkedPage(page)
            page = linked.write(self.number_links(linked.links), self.site)
        return add_tracking_image(page) if self.has_image else page

    def add_values(self, values: dict[str, object], delivery_id: int, counts_opens: bool) -> None:
        """Add the values that the edited page uses in the letter of a delivery.

        Without `counts_opens`, a blank image is embedded in the letter, so nothing is requested.
        """
        token = self.signer.make_token(delivery_id)
        if self.number_links:
            values[LINK_TOKEN] = token
        if self.has_image:
            image_url = f"{self.site}{OPEN_PREFIX}/{token}.gif"
            values[TRACKING_IMAGE_URL] = image_url if counts_opens else BLANK_IMAGE


def add_tracking_image(page: str) -> str:
    """Return the page with the tracking image at the end of its body."""
    source = f"{{{{ {TRACKING_IMAGE_URL} }}}}"
    image = f'<img src="{source}" width="1" height="1" alt="" style="display:block">'
    masked = MaskedSource(page)
    ends = [piece.start() for piece in PIECE.finditer(masked.text) if piece["end"] and _is_body(piece)]
    place = ends[-1] if ends else len(masked.text)
    return masked.unmask(masked.text[:place]) + image + masked.unmask(masked.text[place:])


def _is_body(piece: re.Match[str]) -> bool:
    return piece["name"].lower() == "body"
