"""Check that names, comments, docs and pages contain none of the words that we avoid."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Words that made our sentences hard to read, with what to write instead.
AVOIDED = {
    r"told|tells?": "report, show, say",
    r"whoever|whatever|whichever": "any, the one that",
    r"nobody": "no one",
    r"anew": "again",
    r"meanwhile": "in the meantime, since then",
    r"all the same": "still",
    r"of theirs": "their",
    r"bec[ao]mes? of|c[ao]mes? of": "happens to",
    r"wishes|groans?|breath": "a literal word",
    r"word of": "a result, a report",
}
# Python's `tell()` returns the position in a file.
AVOIDED_WORDS = re.compile(r"\b(" + "|".join(AVOIDED) + r")\b(?!\()", re.IGNORECASE)
FOLDERS = ("skymailing", "tests", "bench", "docs", "migrations", "deploy", "tools", ".ci")
TEXTS = {".py", ".md", ".html", ".js", ".css", ".sh", ".txt", ".yaml", ".yml", ".toml", ".cfg"}
# Files with texts by other people, or with lists of words.
EXEMPT = ("/vendor/", "tests/data/", "tests/test_wording.py", "requirements", "common-passwords")


def list_our_texts() -> list[Path]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    return [
        path
        for path in paths
        if path.suffix in TEXTS and path.is_file() and not any(part in path.as_posix() for part in EXEMPT)
    ]


def test_our_texts_contain_no_word_that_we_avoid() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in list_our_texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in AVOIDED_WORDS.finditer(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["nobody knows", "It is told here", "made anew", "Whoever asks", "word of a letter"]
)
def test_avoided_words_are_found(text: str) -> None:
    assert AVOIDED_WORDS.search(text)
