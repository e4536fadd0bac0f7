"""Make the HTML page of a letter declare the letter's language and character set."""

import re

from skymailing.delivery.rendering.html_pieces import PIECE, read_attributes
from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.delivery.rendering.tag_masking import MaskedSource

CHARSET = re.compile(r"""(charset\s{0,9}=\s{0,9}["']?\s{0,9})([\w:.-]+)""", re.IGNORECASE)
XML = re.compile(r"""(\A\s{0,99}<\?xml\b[^<>]{0,200}?encoding\s{0,9}=\s{0,9}["'])([\w:.-]+)""", re.IGNORECASE)
LANGUAGE = re.compile(r"""(?<![^\s"'])(lang\s{0,9}=\s{0,9})("[^"]*+"|'[^']*+'|[^\s"']++)""", re.IGNORECASE)


def fit_page(html: str, language: str) -> str:
    """Return the page with the letter's charset and the message's language.

    A page keeps its own language if messages cannot have that one, or if `language` is empty.
    """
    masked = MaskedSource(html)
    source = XML.sub(r"\g<1>utf-8", masked.text)
    pieces: list[str] = []
    end = 0
    for piece in PIECE.finditer(source):
        name = (piece["name"] or "").lower()
        if piece["end"] or name not in ("html", "meta"):
            continue
        start, stop = piece.span("attributes")
        attributes = piece["attributes"]
        fitted = fit_charset(attributes) if name == "meta" else fit_language(attributes, language)
        pieces += source[end:start], fitted
        end = stop
    return masked.unmask("".join(pieces) + source[end:])


def fit_charset(attributes: str) -> str:
    def write(match: re.Match[str]) -> str:
        return match[0] if match[2].lower() in ("utf-8", "utf8") else f"{match[1]}utf-8"

    return CHARSET.sub(write, attributes)


def fit_language(attributes: str, language: str) -> str:
    if not language:
        return attributes
    written = read_attributes(attributes).get("lang", "").strip().lower()
    if not written:
        attributes = LANGUAGE.sub("", attributes)
        return f' lang="{language}"{attributes}'
    if written in LANGUAGES and written != language:
        return LANGUAGE.sub(rf'\g<1>"{language}"', attributes, count=1)
    return attributes
