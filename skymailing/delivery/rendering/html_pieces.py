"""Split HTML into tags, comments and raw elements in linear time; the text between them is not a piece.

An HTML parser would move Liquid tags and escape their content, and could crash on hostile sources.
"""

import re
from html import unescape
from html.entities import html5

# Elements without an end tag.
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
# Elements that end where the next one of the same name begins.
IMPLIED_END_TAGS = frozenset("p li dt dd tr td th tbody thead tfoot option".split())
PIECE = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<raw>style|script|title|textarea|xmp|iframe|noembed|noframes)\b(?P<head>[^<>]*)>(?P<content>.*?)(?:</(?P=raw)\b|\Z)"
    r"""|<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*+)(?P<attributes>(?:"[^"<]*+"|'[^'<]*+'|[^<>"'])*+)>""",
    re.DOTALL | re.IGNORECASE,
)
ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s"'>/=]++)(?:\s{0,9}=\s{0,9}(?P<value>"[^"]*+"|'[^']*+'|[^\s"'=<>`]++))?"""
)
# Conditional comments for Outlook that other mail programs skip, such as <![if !mso]>, and doctypes.
DECLARATION = re.compile(r"<[!?][^<>]*+>")
# The beginning of a tag that PIECE does not match, because it or a quoted value in it does not end properly.
BROKEN = re.compile(r"<(?P<tag>[a-zA-Z/!?][\w-]*+)")
# In an attribute, a named reference without a semicolon is text if a letter, a digit or "=" follows: a link
# to "/?a=1&region=2" has no "&reg" (HTML standard, 13.2.5.73).
REFERENCE = re.compile(r"&(?:#[^&;]{0,20}+;?|[a-zA-Z][a-zA-Z0-9]*+(?:;|(?!=)))")


def find_broken_tag(html: str) -> re.Match[str] | None:
    """Return the beginning of the first tag that may hide the text after it, such as `<a title="`."""
    end = 0
    for piece in (*PIECE.finditer(html), None):
        between = html[end : piece.start() if piece else len(html)]
        if broken := BROKEN.search(DECLARATION.sub("", between)):
            return broken
        end = piece.end() if piece else end
    return None


def read_attributes(attributes: str) -> dict[str, str]:
    """Return the attributes of a start tag by lowercase name; the first value of a repeated name counts."""
    found: dict[str, str] = {}
    if not attributes:
        return found
    for match in ATTRIBUTE.finditer(attributes):
        value = match["value"] or ""
        text = value[1:-1] if value[:1] in ('"', "'") else value
        found.setdefault(match["name"].lower(), unescape_attribute(text))
    return found


def unescape_attribute(text: str) -> str:
    """Return the value of an attribute without character references, as browsers read it."""
    return REFERENCE.sub(_resolve, text)


def _resolve(reference: re.Match[str]) -> str:
    text = reference.group()
    return unescape(text) if text[1] == "#" or text[1:] in html5 else text
