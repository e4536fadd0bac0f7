"""Extract the content of an HTML page, to insert it into another page."""

import re
from dataclasses import dataclass

from skymailing.delivery.rendering.html_pieces import PIECE
from skymailing.delivery.rendering.tag_masking import MaskedSource

# The comments around the text that writing mode edits; js/editor/page.js has the same ones.
TEXT_BEGINS, TEXT_ENDS = "<!-- text begins -->", "<!-- text ends -->"
BODY_START = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)
BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
HEAD_END = re.compile(r"</head\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page, and the style elements that it needs in the page's head."""

    html: str
    styles: str = ""


NO_PART = Part("")


def extract_text(page: str) -> str | None:
    """Return the text between the two marker comments of a page; None if it lacks them."""
    start, end = page.find(TEXT_BEGINS), page.rfind(TEXT_ENDS)
    return page[start + len(TEXT_BEGINS) : end] if 0 <= start < end else None


def split_page(page: str) -> Part:
    """Return the content of a page's body, with the style elements before it; a fragment is not changed."""
    start = BODY_START.search(page)
    if start is None:
        return Part(page)
    ends = list(BODY_END.finditer(page, start.end()))
    inner = page[start.end() : ends[-1].start() if ends else len(page)]
    return Part(inner.strip("\n"), find_styles(page[: start.start()]))


def find_styles(page: str) -> str:
    """Return the style elements of a page, without those for Outlook."""
    masked = MaskedSource(page)
    found = [piece for piece in PIECE.finditer(masked.text) if (piece["raw"] or "").lower() == "style"]
    return "".join(masked.unmask(f"\n{piece[0]}>") for piece in found)


def add_styles(page: str, styles: str) -> str:
    """Return a page with style elements at the end of its head, or at its beginning."""
    if not styles:
        return page
    end = HEAD_END.search(page)
    place = end.start() if end else 0
    return f"{page[:place]}{styles.lstrip()}\n{page[place:]}"
