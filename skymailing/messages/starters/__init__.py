"""Designs to start from, in each language of the service.

Each design is an HTML page whose text is between two comments. The editor's writing mode changes only that
text.
"""

from functools import cache
from pathlib import Path
from typing import TypedDict

from skymailing.delivery.rendering.languages import LANGUAGES
from skymailing.models import MessageFormat

DIRECTORY = Path(__file__).parent
# The comments around the text of a page; js/editor/page.js has the same ones.
TEXT_BEGINS, TEXT_ENDS = "<!-- text begins -->", "<!-- text ends -->"
KEYS = ("newsletter", "announcement", "invitation", "notice", "letter")
PLAIN_KEY = "letter"
FOOTER = {
    "en": "Sent to {{ email }} by {{ sender_name }}.",
    "ru": "Письмо для {{ email }} от {{ sender_name }}.",
}
UNSUBSCRIBE = {"en": "Unsubscribe", "ru": "Отписаться"}
FOOTER_LINE = '<p class="foot">{foot}<br><a href="{{{{ unsubscribe_url }}}}">{unsubscribe}</a></p>'
TOP = '<tr><td class="top">{{ sender_name }}</td></tr>\n'


class Starter(TypedDict):
    """The values of the form's fields."""

    subject: str
    format: str
    body: str
    language: str


def get_starter(key: str, language: str) -> Starter | None:
    """Return a starter in this language, else in English; None if there is no such starter."""
    return read_starter(key, language if language in LANGUAGES else "en") if key in KEYS else None


@cache
def read_starter(key: str, language: str) -> Starter:
    subject, _, content = (DIRECTORY / f"{key}.{language}.html").read_text().partition("\n")
    body = lay_out(content.strip(), language, key)
    return Starter(subject=subject, format=MessageFormat.HTML, body=body, language=language)


def lay_out(content: str, language: str, design: str = PLAIN_KEY) -> str:
    """Return an HTML page with `content` as its text."""
    rules = "".join((DIRECTORY / name).read_text() for name in ("rules.css", f"{design}.css"))
    parts = {
        "language": language,
        "rules": rules.strip(),
        "design": design,
        "top": "" if design == PLAIN_KEY else TOP,
        "foot": write_footer(language),
    }
    page = (DIRECTORY / "page.html").read_text()
    for name, text in parts.items():
        page = page.replace(f"[[{name}]]", text)
    return page.replace("[[content]]", content)


def write_footer(language: str) -> str:
    """Return the footer of a letter, in its language."""
    return FOOTER_LINE.format(foot=FOOTER[language], unsubscribe=UNSUBSCRIBE[language])


def translate_footer(body: str, language: str) -> str:
    """Return the page with our own footer in the message's language; an edited footer is kept."""
    for other in LANGUAGES:
        if other != language:
            body = body.replace(write_footer(other), write_footer(language))
    return body
