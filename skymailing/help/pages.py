"""Read the help pages, which are Markdown files in `texts/<language>/`, and search them."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

TEXTS = Path(__file__).parent / "texts"
FALLBACK = "en"
# The order of the list; the keys are the names of its groups, see `views.py`.
GROUPS: dict[str, tuple[str, ...]] = {
    "clients": ("import", "forms", "segments", "manage-clients", "topics", "unsubscribing"),
    "messages": (
        *("first-message", "client-data", "templates", "layouts"),
        *("brand", "attachments", "test-emails"),
    ),
    "mailings": (
        *("mailing", "spam", "buttons", "recurring", "local-time"),
        *("ab-test", "sequences", "archive"),
    ),
    "senders": ("sender-domain", "mail-servers"),
    "results": ("statistics", "sales", "returned-mail", "unclear-emails"),
    "account": ("account-data", "limits"),
    "developers": ("api-keys", "transactional", "webhooks"),
}
# Pages with a picture in `static/img/help/`, from `make screenshots`.
PICTURED = frozenset({"import", "segments", "forms", "first-message", "mailing", "statistics"})
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
SEARCH_WORDS = "[search]:"
WORD = re.compile(r"\w+")
MAX_WORDS = 8
SHORT, LONG = 5, 8  # letters; words that are longer than these are also found with other endings
SHORTEST = 3  # letters of a word that is found by its beginning
LONGEST_QUERY = 100


@dataclass(frozen=True, slots=True)
class HelpPage:
    """A help page: its first line is the title, its first paragraph without links the summary.

    A last line such as `[search]: # "bounces undelivered"` adds words for the search. Markdown hides it.
    """

    slug: str
    title: str
    summary: str
    html: str  # without the title
    words: frozenset[str]
    main_words: frozenset[str]  # of the title and the last line

    @property
    def has_picture(self) -> bool:
        return self.slug in PICTURED


def list_slugs() -> list[str]:
    return [slug for slugs in GROUPS.values() for slug in slugs]


def find_page(slug: str, language: str) -> HelpPage | None:
    """Return the page in the language, or in English if there are no texts in it."""
    if slug not in list_slugs():
        return None
    return _read_page(slug, language if (TEXTS / language).is_dir() else FALLBACK)


def list_related(slug: str, language: str) -> list[HelpPage]:
    """Return the other pages about the same subject."""
    slugs = next(slugs for slugs in GROUPS.values() if slug in slugs)
    return [page for other in slugs if other != slug and (page := find_page(other, language))]


def search(query: str, language: str) -> list[HelpPage]:
    """Return the pages with the most words of the query, those that are about them first."""
    stems = {_stem(word) for word in _list_words(query[:LONGEST_QUERY])[:MAX_WORDS]}
    pages = [page for slug in list_slugs() if (page := find_page(slug, language))]
    most = max(_count(page.words, stems) for page in pages)
    found = [page for page in pages if most and _count(page.words, stems) == most]
    return sorted(found, key=lambda page: -_count(page.main_words, stems))


@cache
def _read_page(slug: str, language: str) -> HelpPage:
    text = (TEXTS / language / f"{slug}.md").read_text()
    title, _, body = text.removeprefix("# ").partition("\n")
    summary = LINK.sub(r"\1", body.strip().partition("\n\n")[0])
    html = MARKDOWN.render(body)
    main_words = _list_words(title + text.partition(SEARCH_WORDS)[2])
    return HelpPage(slug, title, summary, html, frozenset(_list_words(text)), frozenset(main_words))


def _list_words(text: str) -> list[str]:
    return WORD.findall(text.lower().replace("ё", "е"))


def _stem(word: str) -> str:
    """Return the word without a probable ending, for English as well as for Russian."""
    return word[:-3] if len(word) > LONG else word[:-2] if len(word) > SHORT else word


def _count(words: frozenset[str], stems: set[str]) -> int:
    """Return how many of the stems begin one of the words; a very short one must be the whole word."""
    return sum(
        stem in words or (len(stem) >= SHORTEST and any(word.startswith(stem) for word in words))
        for stem in stems
    )
