"""Rate how closely a decoded text resembles names and places, to recognize its encoding.

Every encoding with one byte per character can decode a text, but the wrong ones yield words that no one
writes: `Јорг`, `сЕРГЕЙ`, `M¸ller`. Letter frequencies alone do not distinguish Windows-1250 from
Windows-1252 in a table of names, so pairs of neighbouring letters are compared with those of common names.
"""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

NAMES = Path(__file__).with_name("names.txt")

# Scores per non-ASCII character. Plausible text scores about 1, wrong text less than 0.
COMMON_LETTER, RARE_LETTER, STRANGE_LETTER = 0.5, 0.0, -1.0
KNOWN_PAIR = 0.4
KNOWN_WORD = 0.5
PUNCTUATION, SYMBOL, UNREADABLE = -0.1, -1.5, -5.0
SYMBOL_IN_WORD = -3.0
MIXED_ALPHABETS = -3.0
MIXED_CASE = -2.0
ONLY_ACCENTS = -2.0

RUSSIAN = set("абвгдежзийклмнопрстуфхцчшщъыьэюяё")
CYRILLIC = RUSSIAN | set("іїєґўђћјљњџќѓѕ")
COMMON_LATIN = set("éèêëüöäßàáíóúñçôâãåøæýšžąćęłńśźżčďěňřťůăşţđőű")
RARE_LATIN = set("îïõœùûòìðþľĺŕ")
COMMON_SYMBOLS = set("«»–—№„“”‘’…·€°\u00a0")
WORD = re.compile(r"[^\W\d_]+(?:[^\s\w\x00-\x7f]+[^\W\d_]+)*|[^\x00-\x7f]")
RARE_PAIRS = re.compile(r"([ьъы])(?=[ьъы])|(?<![а-яё])[ьъы]|[аеиоуэюя]{4}|[бвгджзклмнпрстфхцчшщ]{5}")


def rate(text: str) -> float:
    """Return the average plausibility of the text's non-ASCII characters."""
    total, count = 0.0, 0
    for match in WORD.finditer(text):
        word = match[0]
        if not word.isascii():
            total += rate_word(word)
            count += sum(not char.isascii() for char in word)
    return total / count if count else 0.0


def rate_word(word: str) -> float:
    """Return the sum of the ratings of the word's non-ASCII characters."""
    letters = [char for char in word if char.isalpha()]
    if not letters:
        return rate_symbol(word)
    foreign = [char for char in letters if not char.isascii()]
    result = sum(map(rate_letter, foreign))
    result += sum(SYMBOL_IN_WORD for char in word if not char.isalpha() and char not in "’")
    cyrillic = sum(char.lower() in CYRILLIC for char in letters)
    if 0 < cyrillic < len(letters):
        return result + MIXED_ALPHABETS * len(foreign)
    if has_mixed_case(letters):
        result += MIXED_CASE * len(foreign)
    if not cyrillic and len(letters) > 2 and len(foreign) * 2 > len(letters):
        result += ONLY_ACCENTS * len(foreign)
    return result + rate_pairs(word.lower(), is_cyrillic=bool(cyrillic))


def rate_letter(char: str) -> float:
    lower = char.lower()
    if lower in RUSSIAN or lower in COMMON_LATIN:
        return COMMON_LETTER
    if lower in CYRILLIC or lower in RARE_LATIN:
        return RARE_LETTER
    return STRANGE_LETTER


def rate_symbol(char: str) -> float:
    if char in COMMON_SYMBOLS:
        return PUNCTUATION
    return (
        UNREADABLE if char == "\ufffd" or "\x80" <= char < "\xa0" or "\ue000" <= char < "\uf900" else SYMBOL
    )


def has_mixed_case(letters: list[str]) -> bool:
    """Return whether a non-ASCII capital follows a lowercase letter, or lowercase follows two capitals."""
    text = "".join(letters)
    if any(not b.isascii() and b.isupper() and a.islower() for a, b in pairwise(text)):
        return True
    return len(text) > 2 and text[:2].isupper() and any(b.islower() and not b.isascii() for b in text[2:])


def rate_pairs(word: str, *, is_cyrillic: bool) -> float:
    """Rate the pairs that the word's non-ASCII letters form with their neighbours."""
    words, pairs = read_names()
    if is_cyrillic:
        return -2.0 * len(RARE_PAIRS.findall(word)) + KNOWN_WORD * (word in words) * len(word)
    known = sum(
        KNOWN_PAIR
        for a, b in zip(f" {word}", f"{word} ", strict=True)
        if not (a.isascii() and b.isascii()) and a + b in pairs
    )
    return known + KNOWN_WORD * (word in words)


@cache
def read_names() -> tuple[frozenset[str], frozenset[str]]:
    """Return common names and the pairs of neighbouring letters in them."""
    words = frozenset(NAMES.read_text(encoding="utf-8").split())
    pairs = {word[i : i + 2] for word in (f" {name} " for name in words) for i in range(len(word) - 1)}
    return words, frozenset(pairs)
