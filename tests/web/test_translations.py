"""Test that every text is translated into Russian."""

from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.pofile import read_po

PROJECT = Path(__file__).parents[2]
# The same keywords as in docs/translations.md.
KEYWORDS = DEFAULT_KEYWORDS | parse_keywords(["_l", "lazy_gettext", "lazy_pgettext:1c,2"])


@pytest.fixture(scope="module")
def extracted() -> dict[tuple[str, str], set[str]]:
    """Return the files in which each text is used, by context and text."""
    with open(PROJECT / "babel.cfg") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]  # Babel has no types here
    files: dict[tuple[str, str], set[str]] = {}
    for filename, _line, text, _comments, context in extract_from_dir(
        str(PROJECT / "skymailing"), methods, options, KEYWORDS
    ):
        singular = text[0] if isinstance(text, tuple) else text
        files.setdefault((context or "", singular), set()).add(filename)
    return files


@pytest.fixture(scope="module")
def russian() -> Catalog:
    path = PROJECT / "skymailing" / "translations" / "ru" / "LC_MESSAGES" / "messages.po"
    return read_po(BytesIO(path.read_bytes()), locale="ru")


def list_messages(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def test_texts_are_extracted_from_code_and_templates(extracted: dict[tuple[str, str], set[str]]) -> None:
    files = set().union(*extracted.values())

    assert any(name.endswith(".py") for name in files)
    assert any(name.endswith(".html") for name in files)
    assert any(name.endswith(".txt") for name in files)


def test_no_translation_is_missing(extracted: dict[tuple[str, str], set[str]], russian: Catalog) -> None:
    missing = {
        text: sorted(files)
        for (context, text), files in extracted.items()
        if (message := russian.get(text, context or None)) is None or not all(list_translations(message))
    }

    assert not missing, "run `make translations` and translate"


def test_no_translation_is_fuzzy_or_has_wrong_placeholders(russian: Catalog) -> None:
    assert [message.id for message in list_messages(russian) if message.fuzzy] == []
    # A lost or invented placeholder would break the page.
    assert [
        (message.id, list(message.check(russian)))
        for message in list_messages(russian)
        if list(message.check(russian))
    ] == []


def test_no_translation_is_obsolete(extracted: dict[tuple[str, str], set[str]], russian: Catalog) -> None:
    texts = {(message.context or "", get_singular(message.id)) for message in list_messages(russian)}

    assert texts - set(extracted) == set()


def test_plurals_have_three_forms(russian: Catalog) -> None:
    assert russian.num_plurals == 3
    for message in list_messages(russian):
        if message.pluralizable:
            assert len(list_translations(message)) == 3


def get_singular(text: str | tuple[str, ...] | list[str]) -> str:
    return text if isinstance(text, str) else text[0]


def list_translations(message: Message) -> tuple[str, ...]:
    string = message.string
    return tuple(string) if isinstance(string, tuple | list) else (string or "",)
