"""Return XML to feed readers and search engines."""

import re

from flask import Response, make_response

# Characters that XML 1.0 does not allow, even escaped.
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def make_xml_response(text: str, type: str) -> Response:
    """Return a response with an XML document, without characters that XML forbids."""
    response = make_response(NOT_XML.sub("", text))
    response.content_type = f"{type}; charset=utf-8"
    return response
