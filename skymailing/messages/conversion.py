"""A body written in one format as a body in another; placeholders come through byte for byte."""

import re
from html import escape

from skymailing.delivery.rendering.content import clean, convert_markdown, guess_language, restore_text
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.messages.starters import TEXT_BEGINS, TEXT_ENDS, lay_out
from skymailing.models import MessageFormat


def convert(body: str, old: MessageFormat, new: MessageFormat) -> str:
    """Return `body` as the new format writes it; raises TemplateError when a tag is never closed.

    Text and Markdown are each other's as they stand. HTML becomes a page with a design, and loses it
    on the way back.
    """
    body = clean(body)
    if new is MessageFormat.HTML and old is not MessageFormat.HTML:
        content = convert_markdown(body) if old is MessageFormat.MARKDOWN else write_paragraphs(body)
        return lay_out(content.strip(), guess_language(body))
    if old is MessageFormat.HTML and new is not MessageFormat.HTML:
        masked = MaskedSource(take_text(body))
        return restore_text(html_to_text(masked.text), masked).strip("\n") + "\n"
    return body


def take_text(page: str) -> str:
    """Return what stands between the marks of a page with a design; a page without them as it is."""
    begin, end = page.find(TEXT_BEGINS), page.rfind(TEXT_ENDS)
    return page[begin + len(TEXT_BEGINS) : end] if 0 <= begin < end else page


def write_paragraphs(text: str) -> str:
    """Return plain text as paragraphs of HTML."""
    masked = MaskedSource(text)
    paragraphs = re.split(r"\n\s*\n", masked.text.strip("\n"))
    html = "\n".join(
        "<p>" + escape(paragraph, quote=False).replace("\n", "<br>") + "</p>"
        for paragraph in paragraphs
        if paragraph.strip()
    )
    return masked.unmask_converted(html, "&#123;")
