"""Check a letter's text, pictures and size."""

import re

from skymailing.checkup.letters import Letter
from skymailing.checkup.results import PASSED, Result, advise, warn
from skymailing.checkup.spam_words import find_phrases
from skymailing.delivery.composition.readability import CLIP_LIMIT

MIN_PROSE = 120  # characters of text, including the unsubscribe link, in letters with pictures
MAX_PICTURE_BYTES = 2 * 1024 * 1024
MEGABYTE = 1024 * 1024
# The share of the HTML's words that the text part must contain, and the number of words from which this
# applies.
MIN_SHARED, MIN_WORDS = 0.5, 20
PHRASES_SHOWN = 3
WORD = re.compile(r"\w{2,}")
# Signs of a postal address or of a company's number: postcodes, streets, and the like.
POSTAL = re.compile(
    r"\b\d{5,6}\b|\b\d{3} \d{2}\b|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
    r"|(?i:\b(?:ул|г|пр|пер|наб)\.|\b(?:улица|проспект|переулок|шоссе|площадь|набережная|бульвар)\b"
    r"|\b(?:ИНН|ОГРН|ОГРНИП|УНП|БИН)\b|\bp\.? ?o\.? box\b|straße|strasse|platz\b"
    r"|\b(?:street|avenue|road|lane|square|boulevard)\b|\bst\.(?=,|\s|$))"
)


def check_size(letter: Letter) -> Result | None:
    """Find letters that Gmail cuts off."""
    if not letter.html:
        return None
    return advise(limit=CLIP_LIMIT // 1024) if "check_clipped" in letter.findings else PASSED


def check_pictures_weight(letter: Letter) -> Result | None:
    if not letter.picture_bytes:
        return None
    is_heavy = letter.picture_bytes > MAX_PICTURE_BYTES
    return advise(megabytes=letter.picture_bytes / MEGABYTE) if is_heavy else PASSED


def check_picture_texts(letter: Letter) -> Result | None:
    """Find pictures without a description."""
    if not letter.picture_urls:
        return None
    return advise() if "check_alt" in letter.findings else PASSED


def check_prose(letter: Letter) -> Result | None:
    """Find letters that consist of pictures, as SpamAssassin's HTML_IMAGE_ONLY_… do."""
    if not letter.picture_urls:
        return None
    return warn() if len(" ".join(letter.prose.split())) < MIN_PROSE else PASSED


def check_text_part(letter: Letter) -> Result | None:
    """Compare the text part with the HTML, as SpamAssassin's MPART_ALT_DIFF does."""
    if not letter.html:
        return None
    words = set(WORD.findall(letter.prose.lower()))
    shared = words & set(WORD.findall(letter.text.lower()))
    return warn() if len(words) >= MIN_WORDS and len(shared) < MIN_SHARED * len(words) else PASSED


def check_phrases(letter: Letter) -> Result:
    phrases = find_phrases(letter.subject, letter.prose)
    return advise(phrases=", ".join(phrases[:PHRASES_SHOWN])) if phrases else PASSED


def check_unsubscribing(letter: Letter) -> Result | None:
    return PASSED if letter.has_unsubscribe_link else None


def check_postal_address(letter: Letter) -> Result:
    """Find letters without the sender's postal address, which many laws require."""
    shown = " ".join(f"{letter.prose} {letter.text}".split())
    first_line = letter.brand_address.strip().partition("\n")[0].strip()
    is_shown = POSTAL.search(shown) or (first_line and first_line in shown)
    return PASSED if is_shown else advise()
