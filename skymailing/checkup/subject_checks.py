"""Check a letter's subject."""

import re

from skymailing.checkup.letters import Letter
from skymailing.checkup.results import PASSED, Result, advise, warn

MAX_LENGTH = 50  # characters; phones show 35 to 50
MAX_EXCLAMATION_MARKS = 2
MAX_EMOJI = 2
# As SpamAssassin's SUBJ_ALL_CAPS, which is limited to Latin letters: at least two words and ten characters.
SHOUTED_LETTERS, SHOUTED_SHARE = 10, 0.8
REPLY = re.compile(r"\s*(?:re|fwd?|aw|отв|пересл)\s?(?:\[\d+\])?:", re.IGNORECASE)
EMOJI = re.compile("[\u2600-\u27bf\u2b50\u2b55\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]")
FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")  # two characters that are shown as one
# Characters that join or change emoji, and skin tones.
INVISIBLE = re.compile("\u200d.|[\ufe0f\U0001f3fb-\U0001f3ff]")


def check_subject_is_set(letter: Letter) -> Result:
    return PASSED if letter.subject.strip() else warn()


def check_subject_case(letter: Letter) -> Result:
    """Find subjects in capital letters."""
    letters = [mark for mark in letter.subject if mark.isalpha()]
    capitals = sum(mark.isupper() for mark in letters)
    has_words = len(re.findall(r"[^\W\d_]{2,}", letter.subject)) > 1
    is_shouted = len(letters) >= SHOUTED_LETTERS and capitals >= SHOUTED_SHARE * len(letters)
    return advise() if is_shouted and has_words else PASSED


def check_subject_marks(letter: Letter) -> Result:
    return advise() if letter.subject.count("!") > MAX_EXCLAMATION_MARKS else PASSED


def check_subject_is_new(letter: Letter) -> Result:
    """Find subjects of a reply or a forwarded letter, which a mailing is not."""
    return warn() if REPLY.match(letter.subject) else PASSED


def check_subject_length(letter: Letter) -> Result:
    length = len(letter.subject.strip())
    return advise(count=length, limit=MAX_LENGTH) if length > MAX_LENGTH else PASSED


def check_subject_emoji(letter: Letter) -> Result:
    subject = FLAG.sub("\u2600", INVISIBLE.sub("", letter.subject))
    count = len(EMOJI.findall(subject))
    return advise(count=count) if count > MAX_EMOJI else PASSED
