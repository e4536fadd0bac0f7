"""Read the help pages, which are Markdown files in `texts/<language>/`, and search them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from skymailing.blog.content import render_body
from skymailing.models import MessageFormat

TEXTS = Path(__file__).parent / "texts"
FALLBACK = "en"
# The order of the list; the keys are the names of its groups, see `views.py`.
GROUPS: dict[str, tuple[str, ...]] = {
    "clients": ("import", "forms", "segments", "topics", "unsubscribing"),
    "messages": ("first-message", "templates", "layouts", "attachments", "test-emails"),
    "mailings": ("mailing", "buttons", "ab-test", "sequences", "sender-domain"),
    "results": ("statistics", "returned-mail", "unclear-emails"),
    "account": ("account-data", "limits", "api-keys"),
}
WORD = re.compile(r"\w+")
MAX_WORDS = 8
SHORT, LONG = 5, 8  # letters; words that are longer than these are also found with other endings
LONGEST_QUERY = 100


@dataclass(frozen=True, slots=True)
class HelpPage:
    """A help page: its first line is the title, its first paragraph the summary."""

    slug: str
    title: str
    summary: str
    html: str  # without the title
    words: frozenset[str]
    title_words: frozenset[str]


def list_slugs() -> Iterator[str]:
    for slugs in GROUPS.values():
        yield from slugs


def find_page(slug: str, language: str) -> HelpPage | None:
    """Return the page in the language, or in English if there are no texts in it."""
    if slug not in set(list_slugs()):
        return None
    return _read_page(slug, language if (TEXTS / language).is_dir() else FALLBACK)


def search(query: str, language: str) -> list[HelpPage]:
    """Return the pages that contain every word of the query: first those with more of them in the title."""
    stems = [_stem(word) for word in _list_words(query[:LONGEST_QUERY])][:MAX_WORDS]
    pages = [page for slug in list_slugs() if (page := find_page(slug, language))]
    found = [page for page in pages if stems and all(_has(page.words, stem) for stem in stems)]
    return sorted(found, key=lambda page: -sum(_has(page.title_words, stem) for stem in stems))


@cache
def _read_page(slug: str, language: str) -> HelpPage:
    text = (TEXTS / language / f"{slug}.md").read_text()
    title, _, body = text.removeprefix("# ").partition("\n")
    summary = body.strip().partition("\n\n")[0]
    html = render_body(MessageFormat.MARKDOWN, body)
    return HelpPage(slug, title, summary, html, frozenset(_list_words(text)), frozenset(_list_words(title)))


def _list_words(text: str) -> list[str]:
    return WORD.findall(text.lower().replace("ё", "е"))


def _stem(word: str) -> str:
    """Return the word without a probable ending, for English as well as for Russian."""
    return word[:-3] if len(word) > LONG else word[:-2] if len(word) > SHORT else word


def _has(words: frozenset[str], stem: str) -> bool:
    return any(word.startswith(stem) for word in words)
