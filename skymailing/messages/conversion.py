"""Convert a body between formats, keeping placeholders byte for byte."""

import re
from html import escape

from skymailing.delivery.composition.page_parts import extract_text
from skymailing.delivery.rendering.content import (
    check_length,
    clean,
    convert_markdown,
    restore_text,
)
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.delivery.rendering.tag_masking import MaskedSource
from skymailing.messages.writing_page import lay_out
from skymailing.models import MessageFormat


def convert(body: str, old: MessageFormat, new: MessageFormat, language: str) -> str:
    """Return `body` in the new format; `language` is the message's language.

    Raises TemplateError if a tag is not closed, or if the body is too long.

    Plain text and Markdown are used as they are. When HTML is converted to another format, only its text is
    kept, without the design around it.
    """
    body = clean(body)
    check_length(body, old)
    if new is MessageFormat.HTML and old is not MessageFormat.HTML:
        content = convert_markdown(body) if old is MessageFormat.MARKDOWN else write_paragraphs(body)
        return lay_out(content.strip(), language)
    if old is MessageFormat.HTML and new is not MessageFormat.HTML:
        masked = MaskedSource(_find_text(body))
        return restore_text(html_to_text(masked.text), masked).strip("\n") + "\n"
    return body


def _find_text(page: str) -> str:
    text = extract_text(page)
    return page if text is None else text


def write_paragraphs(text: str) -> str:
    """Return plain text as HTML paragraphs."""
    masked = MaskedSource(text)
    paragraphs = re.split(r"\n\s*\n", masked.text.strip("\n"))
    html = "\n".join(
        "<p>" + escape(paragraph, quote=False).replace("\n", "<br>") + "</p>"
        for paragraph in paragraphs
        if paragraph.strip()
    )
    return masked.unmask_converted(html, "&#123;")
