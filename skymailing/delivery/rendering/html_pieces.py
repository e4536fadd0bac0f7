"""Split HTML into tags, comments and raw elements in linear time; the text between them is not a piece.

An HTML parser would move Liquid tags and escape their content, and could crash on hostile sources.
"""

import re
from html import unescape

# Elements without an end tag.
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
# Elements that end where the next one of the same name begins.
IMPLIED = frozenset("p li dt dd tr td th tbody thead tfoot option".split())
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


def read_attributes(attributes: str) -> dict[str, str]:
    """Return the attributes of a start tag by lowercase name; the first of equal names counts."""
    found: dict[str, str] = {}
    if not attributes:
        return found
    for match in ATTRIBUTE.finditer(attributes):
        value = match["value"] or ""
        text = value[1:-1] if value[:1] in ('"', "'") else value
        found.setdefault(match["name"].lower(), unescape(text))
    return found
