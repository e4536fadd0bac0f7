"""The preheader: the text that mail programs show in a list of letters, after the subject.

It is hidden at the beginning of the HTML. The text part does not contain it.
"""

import re
from html import escape

from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.models.message import MessageFormat

START = (
    '<div data-preheader style="display:none;max-height:0;overflow:hidden;opacity:0;mso-hide:all;'
    'font-size:1px;line-height:1px">'
)
# Keeps mail programs with room for more text from showing the beginning of the letter.
FILLER = "&zwnj;&nbsp;" * 70
END = "</div>"
PREHEADER = re.compile(re.escape(START) + ".*?" + re.escape(FILLER + END) + "(?:\n\n)?", re.DOTALL)
BODY = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)


def add_preheader(body: str, format: MessageFormat, text: str) -> str:
    """Return a body that begins with the preheader; plain text has none. Raises TemplateError."""
    if not text.strip() or format is MessageFormat.TEXT:
        return body
    masked = MaskedSource(text)
    shown = masked.unmask(escape(masked.text, quote=False).replace("{", "&#123;"))
    element = f"{START}{shown}{FILLER}{END}"
    if format is MessageFormat.MARKDOWN:
        return f"{element}\n\n{body}"
    start = BODY.search(body)
    place = start.end() if start else 0
    return body[:place] + element + body[place:]


def remove_preheader(body: str) -> str:
    return PREHEADER.sub("", body, count=1)
