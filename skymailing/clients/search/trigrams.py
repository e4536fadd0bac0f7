"""Split text into trigrams: text that contains a word contains every three consecutive characters of it.

PostgreSQL stores a client's trigrams as an array of hashes with a GIN index, which needs no extension. SQLite
stores the text in an FTS5 table, which splits it into trigrams.
"""

import zlib
from collections.abc import Iterable
from functools import lru_cache

from skymailing.email_addresses import address_pattern

LENGTH = 3
MAX_PER_WORD = 30
# An owner's trigram consists of private-use characters, which no text has. Each encodes 11 bits of the ID.
FIRST_PRIVATE = 0xF0000
BITS = 11
# The trigram of clients whose text is only partly indexed: they may contain any word.
TOO_LONG = chr(FIRST_PRIVATE + (1 << BITS)) * LENGTH
MAX_INDEXED = 10_000  # characters of a client's text


def make_owner_trigram(owner_id: int) -> str:
    """Return the trigram that all clients of an owner have, and no other clients."""
    parts = (owner_id >> shift & (1 << BITS) - 1 for shift in (2 * BITS, BITS, 0))
    return "".join(chr(FIRST_PRIVATE + part) for part in parts)


def make_indexed_text(owner_id: int, texts: Iterable[str]) -> str:
    """Return the text whose trigrams are indexed for a client."""
    text = "\n".join((make_owner_trigram(owner_id), *texts)).casefold()
    return text if len(text) <= MAX_INDEXED else f"{text[:MAX_INDEXED]}\n{TOO_LONG}"


def split_trigrams(text: str) -> set[str]:
    return {text[start : start + LENGTH] for start in range(len(text) - LENGTH + 1)}


def hash_trigrams(trigrams: Iterable[str]) -> set[int]:
    """Return the trigrams as stored in PostgreSQL: non-negative 32-bit integers."""
    return set(map(_hash, trigrams))


@lru_cache(maxsize=100_000)
def _hash(trigram: str) -> int:
    return zlib.crc32(trigram.encode()) >> 1


def list_word_trigrams(word: str) -> list[list[str]]:
    """Return alternative lists: a client whose text contains the word has all trigrams of one list.

    The second is for a word that is stored in another form in addresses. An empty result means that the word
    is too short, so that every client may contain it.
    """
    forms = dict.fromkeys((word.casefold(), address_pattern(word).casefold()))
    alternatives = [sorted(split_trigrams(form))[:MAX_PER_WORD] for form in forms]
    return alternatives if all(alternatives) else []
