"""Remove the markers of missing values and links from a published letter, with the adjacent words."""

import re
from urllib.parse import quote

from skymailing.delivery.rendering.html_pieces import PIECE, read_attributes

# Characters that no text contains (Unicode's noncharacters). They mark a client's value, an address, a link
# to the recipient's own pages, and the place of removed content.
VALUE, ADDRESS, LINK, GONE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
# The markers in the forms into which the template's filters may have encoded them.
SPELLINGS = re.compile("|".join(f"{quote(marker)}" for marker in (VALUE, ADDRESS, LINK)), re.IGNORECASE)
MARKERS = re.compile(f"[{VALUE}{ADDRESS}{LINK}{GONE}]")
SENTENCE_ENDS = re.compile(r"(?<=[.!?…])(?=\s)|(?=\n)|(?<=\n)")
# "Hello, NAME!" becomes "Hello!", and "NAME, hello!" becomes "Hello!".
AFTER_WORDS = re.compile(f"[ \t]{{0,9}},?[ \t]{{0,9}}{VALUE}(?=[ \t]{{0,9}}(?:[!.,;:?…)\n]|$))")
BEFORE_WORDS = re.compile(f"(?:^|(?<=\n))([ \t]{{0,9}}){VALUE}[ \t]{{0,9}}[,:!][ \t]{{0,9}}(\\w?)")
SPACED = re.compile(f"([ \t]?){VALUE}([ \t]?)")
SEPARATED = re.compile(f"(?:[|·•]\\s{{0,9}})?{GONE}(?:\\s{{0,9}}[|·•](?=\\s))?")
EMPTY_BLOCK = re.compile(
    rf"<(?P<name>p|li|div|td)\b[^<>]*>(?P<content>(?:\s|&nbsp;|<br\s{{0,9}}/?>|{GONE})*)</(?P=name)>",
    re.IGNORECASE,
)
SIGNATURE_LINE = re.compile(r"\n+--\Z")
BLANK_LINES = re.compile(r"\n{3,}")


def tidy_text(text: str) -> str:
    """Return text without markers."""
    text = MARKERS.sub("", _tidy_words(_unify(text)))
    return SIGNATURE_LINE.sub("", BLANK_LINES.sub("\n\n", text.rstrip()))


def tidy_html(html: str) -> str:
    """Return an HTML page without markers, and without links to the recipient's own pages."""
    html = _unify(html)
    if not MARKERS.search(html):
        return html
    html = EMPTY_BLOCK.sub(_drop_emptied, SEPARATED.sub(GONE, _remove(html)))
    return MARKERS.sub("", html)


def _unify(text: str) -> str:
    """Return the text with every marker in its unencoded form."""
    return SPELLINGS.sub(lambda match: bytes.fromhex(match[0].replace("%", "")).decode(), text)


def _remove(html: str) -> str:
    """Remove links whose target is a marker, and tidy the words between tags."""
    pieces: list[str] = []
    end = 0
    is_removing = False
    for piece in PIECE.finditer(html):
        text, name = html[end : piece.start()], (piece["name"] or "").lower()
        end = piece.end()
        if is_removing:
            # Links cannot be nested, so the next tag of a link ends this one.
            if name == "a":
                is_removing = False
                pieces.append(GONE)
                if not piece["end"]:
                    is_removing = _is_marked_link(name, piece["attributes"])
                    pieces += [] if is_removing else [piece[0]]
            continue
        pieces.append(_tidy_words(text))
        if not piece["end"] and _is_marked_link(name, piece["attributes"] or ""):
            is_removing = True
        else:
            pieces.append(MARKERS.sub("", piece[0]))
    pieces.append("" if is_removing else _tidy_words(html[end:]))
    return "".join(pieces)


def _is_marked_link(name: str, attributes: str) -> bool:
    return name == "a" and LINK in read_attributes(attributes).get("href", "")


def _tidy_words(text: str) -> str:
    """Return the words between two tags without value markers, and without sentences with other markers."""
    if not MARKERS.search(text):
        return text
    # A sentence about the recipient's address or links, such as "Sent to anna@example.com by Shop."
    sentences = SENTENCE_ENDS.split(text)
    text = "".join(GONE if ADDRESS in part or LINK in part else part for part in sentences)
    text = BEFORE_WORDS.sub(lambda match: match[1] + match[2].upper(), text)
    text = AFTER_WORDS.sub("", text)
    return SPACED.sub(lambda match: " " if match[1] and match[2] else match[1] + match[2], text)


def _drop_emptied(block: re.Match[str]) -> str:
    return "" if GONE in block["content"] else block[0]
