"""Letters to start from, in the languages that the service speaks.

Each is a page of HTML whose text stands between two comments: what is outside of them is the design, which
the editor's writing mode leaves alone.
"""

from functools import cache
from pathlib import Path
from typing import TypedDict

from flask_babel import gettext as _

from skymailing.models import MessageFormat

HERE = Path(__file__).parent
# The text of a page stands between these; js/editor/page.js knows them too.
TEXT_BEGINS, TEXT_ENDS = "<!-- text begins -->", "<!-- text ends -->"
KEYS = ("newsletter", "announcement", "invitation", "notice", "letter")
LANGUAGES = ("en", "ru")
PLAIN = "letter"
FOOT = {
    "en": "{{ sender_name }} wrote to {{ email }}.",
    "ru": "{{ sender_name }} — письмо для {{ email }}.",
}
UNSUBSCRIBE = {"en": "Unsubscribe", "ru": "Отписаться"}
TOP = '<tr><td class="top">{{ sender_name }}</td></tr>\n'


class Starter(TypedDict):
    """The fields of the form, filled."""

    subject: str
    format: str
    body: str


def get_starter(key: str, language: str) -> Starter | None:
    """Return a starter in a language, else in English; None when there is no such starter."""
    return read_starter(key, language if language in LANGUAGES else "en") if key in KEYS else None


@cache
def read_starter(key: str, language: str) -> Starter:
    subject, _, content = (HERE / f"{key}.{language}.html").read_text().partition("\n")
    return Starter(subject=subject, format=MessageFormat.HTML, body=lay_out(content.strip(), language, key))


def lay_out(content: str, language: str, design: str = PLAIN) -> str:
    """Return a page of HTML with `content` as its text."""
    rules = "".join((HERE / name).read_text() for name in ("rules.css", f"{design}.css"))
    parts = {
        "language": language,
        "rules": rules.strip(),
        "design": design,
        "top": "" if design == PLAIN else TOP,
        "foot": FOOT[language],
        "unsubscribe": UNSUBSCRIBE[language],
    }
    page = (HERE / "page.html").read_text()
    for name, text in parts.items():
        page = page.replace(f"[[{name}]]", text)
    return page.replace("[[content]]", content)


def list_starters() -> list[tuple[str, str, str]]:
    """Return key, name and purpose of each starter."""
    return [
        ("newsletter", _("Newsletter"), _("several pieces of news in one letter")),
        ("announcement", _("Announcement"), _("one thing that is new")),
        ("invitation", _("Invitation"), _("to an event, with time and place")),
        ("notice", _("Notice"), _("a confirmation with its details")),
        ("letter", _("Plain letter"), _("as to one person, without decoration")),
    ]
