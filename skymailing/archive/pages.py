"""Turn rendered letters into web pages."""

import re
from html import escape

from skymailing.delivery.rendering.html_pieces import PIECE
from skymailing.delivery.rendering.languages import guess_language
from skymailing.delivery.rendering.letter import Rendered

# A link in a plain-text letter, without punctuation that ends the sentence.
LINK = re.compile(r"""https?://[^\s<>"']{0,2000}[^\s<>"'.,:;!?)\]}»”]""")
DOCTYPE = re.compile(r"\s*<!doctype[^<>]*>", re.IGNORECASE)
TEXT_PAGE = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
body {{ margin: 0; }}
pre {{ max-width: 640px; margin: 24px auto; padding: 0 16px; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 16px/1.55 -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }}
@media (prefers-color-scheme: dark) {{ a {{ color: #7db4ff; }} }}
</style>
</head>
<body>
<pre>{body}</pre>
</body>
</html>
"""


def lay_out(rendered: Rendered, language: str) -> str:
    """Return the HTML page of a rendered letter; without `language`, a plain text's language is guessed."""
    return rendered.html or lay_out_text(rendered.text, language or guess_language(rendered.text))


def lay_out_text(text: str, language: str) -> str:
    """Return the HTML page of a plain-text letter, with clickable links."""
    pieces: list[str] = []
    end = 0
    for link in LINK.finditer(text):
        url = escape(link[0])
        pieces += escape(text[end : link.start()]), f'<a href="{url}">{url}</a>'
        end = link.end()
    pieces.append(escape(text[end:]))
    return TEXT_PAGE.format(language=escape(language), body="".join(pieces))


def complete_page(html: str, head: str, top: str = "") -> str:
    """Insert HTML into a letter's page: `head` at the start of its head, `top` at the start of its body.

    If a page has several titles, browsers use the first, so `head` must precede the letter's own.
    """
    doctype = DOCTYPE.match(html)
    in_head = in_body = doctype.end() if doctype else 0
    for piece in PIECE.finditer(html):
        match (piece["name"] or "").lower(), bool(piece["end"]):
            case "html", False:
                in_head = in_body = piece.end()
            case "head", False:
                in_head = in_body = piece.end()
            case "head", True:
                in_body = piece.end()
            case "body", False:
                in_body = piece.end()
                break
    return f"{html[:in_head]}{head}{html[in_head:in_body]}{top}{html[in_body:]}"
