"""The HTML page around a text of the writing mode: a plain design with a footer.

The editor's writing mode changes only the text between two comments (`composition/page_parts.py`).
"""

from functools import cache
from pathlib import Path

from skymailing.delivery.rendering.languages import LANGUAGES

PAGE = Path(__file__).with_suffix(".html")
FOOTER = {
    "en": "Sent to {{ email }} by {{ sender_name }}.",
    "ru": "Письмо для {{ email }} от {{ sender_name }}.",
}
UNSUBSCRIBE = {"en": "Unsubscribe", "ru": "Отписаться"}
FOOTER_LINE = '<p class="foot">{foot}<br><a href="{{{{ unsubscribe_url }}}}">{unsubscribe}</a></p>'


def lay_out(content: str, language: str) -> str:
    """Return an HTML page with `content` as its text."""
    page = _read_page().replace("[[language]]", language).replace("[[foot]]", write_footer(language))
    return page.replace("[[content]]", content)


@cache
def _read_page() -> str:
    return PAGE.read_text()


def write_footer(language: str) -> str:
    """Return the footer of a letter, in its language."""
    return FOOTER_LINE.format(foot=FOOTER[language], unsubscribe=UNSUBSCRIBE[language])


def translate_footer(body: str, language: str) -> str:
    """Return the page with our footer in the message's language; an edited footer is kept."""
    for other in LANGUAGES:
        if other != language:
            body = body.replace(write_footer(other), write_footer(language))
    return body
