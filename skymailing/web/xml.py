"""Serve XML documents to feed readers and search engines."""

import re

from flask import Response, make_response

# Characters that XML 1.0 forbids, even in escaped form.
FORBIDDEN_CHARACTERS = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def make_xml_response(text: str, type: str) -> Response:
    """Return a response with an XML document, and remove characters that XML forbids."""
    response = make_response(FORBIDDEN_CHARACTERS.sub("", text))
    response.content_type = f"{type}; charset=utf-8"
    return response
