"""Create slugs, the parts of URLs that are derived from titles."""

import re
import unicodedata
from collections.abc import Callable

MAX_LENGTH = 80
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# The transliteration used in Russian passports since 2014 (ICAO Doc 9303), without hard and soft signs.
RUSSIAN = str.maketrans(
    dict(
        zip(
            "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
            "a b v g d e e zh z i i k l m n o p r s t u f kh ts ch sh shch  y  e iu ia".split(" "),
            strict=True,
        )
    )
)


def make_slug(title: str, fallback: str) -> str:
    """Return the title in Latin letters, digits and hyphens, or `fallback` if none are left."""
    latin = unicodedata.normalize("NFKD", title.lower().translate(RUSSIAN))
    words = re.findall(r"[a-z0-9]+", latin.encode("ascii", "ignore").decode())
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:MAX_LENGTH]
        if len(longer) > MAX_LENGTH:
            break
        slug = longer
    return slug or fallback


def find_free(slug: str, is_taken: Callable[[str], bool]) -> str:
    """Return the slug, with a number appended if it is taken."""
    number, candidate = 1, slug
    while is_taken(candidate):
        number += 1
        candidate = f"{slug}-{number}"
    return candidate
