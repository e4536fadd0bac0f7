"""Render articles as safe HTML."""

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.models import MessageFormat

markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def render_body(format: str, body: str) -> str:
    """Return the body of an article as HTML without scripts, styles, forms or frames."""
    if format == MessageFormat.TEXT:
        paragraphs = body.replace("\r\n", "\n").split("\n\n")
        return "\n".join(
            Markup("<p>{}</p>").format(_break_lines(text)) for text in paragraphs if text.strip()
        )
    html = markdown.render(body) if format == MessageFormat.MARKDOWN else body
    # Markdown may contain HTML too, so both are cleaned.
    return nh3.clean(html, url_schemes={"http", "https", "mailto"}, link_rel="noopener noreferrer")


def convert_body(body: str, old: MessageFormat, new: MessageFormat) -> str:
    """Return the body in another format; converting from HTML keeps only text and links.

    Between plain text and Markdown, nothing changes.
    """
    if new is MessageFormat.HTML and old is not MessageFormat.HTML:
        return render_body(old, body)
    if old is MessageFormat.HTML and new is not MessageFormat.HTML:
        return html_to_text(body).strip("\n") + "\n"
    return body


def _break_lines(text: str) -> Markup:
    return Markup("<br>").join(escape(line) for line in text.strip().split("\n"))
