"""Decide which clients match a search: each word must be in the client's name, address or attributes."""

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true

from skymailing.clients.cleaning import clean_text
from skymailing.db.text_search import contains_text, is_sqlite
from skymailing.email_addresses import address_pattern
from skymailing.models import Client

SEARCH_MAX_LENGTH = 200
MAX_WORDS = 8  # the rest of a longer search counts as one word


def clean_search(text: str) -> str:
    """Return the search text in a form that is safe for every database."""
    return clean_text(text)[:SEARCH_MAX_LENGTH]


def split_words(search: str) -> list[str]:
    """Return the words of a search."""
    return [word.strip() for word in search.split(maxsplit=MAX_WORDS - 1)]


def matches(search: str) -> ColumnElement[bool]:
    """Return the condition for clients who match `search`, ignoring case."""
    return and_(true(), *map(_has_word, split_words(search)))


def _has_word(word: str) -> ColumnElement[bool]:
    return or_(
        Client.email_key.contains(address_pattern(word), autoescape=True),
        contains_text(Client.full_name, word),
        _is_in_attributes(word),
    )


def _is_in_attributes(word: str) -> ColumnElement[bool]:
    read = func.json_each if is_sqlite() else func.jsonb_each_text
    pairs = read(Client.attributes).table_valued("key", "value")
    return exists(select(1).select_from(pairs).where(contains_text(pairs.c.value, word)))
