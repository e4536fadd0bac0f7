"""Repair Liquid tags in which visual editors inserted entities, no-break spaces or curly quotes.

`{% if client.age &gt; 5 %}`, `{{&nbsp;name&nbsp;}}`, `{{ name | default: &quot;friend&quot; }}` and
`href="%7B%7Bunsubscribe_url%7D%7D"` mean what their authors typed. Line numbers do not change.
"""

import re
from html import unescape
from urllib.parse import unquote

from skymailing.delivery.rendering.liquid_tags import RAW, TemplateError, find_tags

ESCAPED = re.compile(r"%7B%7B((?:(?!%7D%7D)[^\s\"'<>]){1,300})%7D%7D", re.IGNORECASE)
SPACES = re.compile("&nbsp;|&#160;|&#xa0;|[\u00a0\u202f\u2007\u200b\ufeff]", re.IGNORECASE)
SUSPECT = re.compile("[&\u00a0\u202f\u2007\u200b\ufeff“”„«»‘’]")
# The marks that open a string in a tag, and those that close it.
QUOTES = {
    '"': re.compile('"'),
    "'": re.compile("'"),
    "&quot;": re.compile("&quot;|&#34;"),
    "&#34;": re.compile("&quot;|&#34;"),
    "&#39;": re.compile("&#39;|&apos;"),
    "&apos;": re.compile("&#39;|&apos;"),
    "“": re.compile('[”“"]'),
    "„": re.compile('[“”"]'),
    "”": re.compile('[”"]'),
    "«": re.compile("»"),
    "‘": re.compile("[’']"),
    "’": re.compile("[’']"),
}
OPENING = re.compile("|".join(map(re.escape, QUOTES)))


def repair_tags(source: str) -> str:
    """Return the source with its tags as Liquid expects them; all other bytes are kept."""
    if "%7" in source:
        source = ESCAPED.sub(lambda match: "{{" + unquote(match[1]) + "}}", source)
    pieces: list[str] = []
    end = 0
    try:
        for tag in find_tags(source):
            if SUSPECT.search(tag.text) and not RAW.match(tag.text):
                pieces += source[end : tag.start], repair_tag(tag.text)
                end = tag.end
    except TemplateError:  # a tag that is not closed; parsing reports it
        pass
    return "".join(pieces) + source[end:]


def repair_tag(text: str) -> str:
    is_statement = text.startswith("{%")
    pieces, position = [], 0
    while opening := OPENING.search(text, position):
        pieces.append(repair_code(text[position : opening.start()]))
        closing = QUOTES[opening[0]].search(text, opening.end())
        if closing is None:
            position = opening.start()
            break
        content = text[opening.end() : closing.start()]
        pieces.append(quote_text(content, opening[0], is_statement=is_statement))
        position = closing.end()
    return "".join(pieces) + repair_code(text[position:])


def repair_code(text: str) -> str:
    """Return the code outside quotes without entities."""
    return SPACES.sub(" ", unescape(SPACES.sub(" ", text)))


def quote_text(text: str, quote: str, *, is_statement: bool) -> str:
    """Return a text in straight quotes. An output tag prints it as HTML, so its entities are kept there."""
    if is_statement:
        text = SPACES.sub(" ", unescape(text))
    if quote in "\"'":
        return f"{quote}{text}{quote}" if quote not in text else f'"{text}"'
    return f"'{text}'" if '"' in text else f'"{text}"'
