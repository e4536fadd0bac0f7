"""List the languages of messages, and guess the language of a text."""

import re

LANGUAGES = ("en", "ru")


def guess_language(text: str, fallback: str = "en") -> str:
    """Return "ru" if the text outside tags is mostly Cyrillic, "en" if mostly Latin, else `fallback`."""
    # Do not match < inside an HTML tag: otherwise a body consisting only of < would take a minute.
    text = "".join(re.split(r"\{\{.*?\}\}|\{%.*?%\}|<[^<>]*>", text))
    cyrillic = len(re.findall(r"[а-яё]", text, re.IGNORECASE))
    latin = len(re.findall(r"[a-z]", text, re.IGNORECASE))
    if cyrillic == latin:
        return fallback
    return "ru" if cyrillic > latin else "en"
