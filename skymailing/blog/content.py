"""Articles as their authors wrote them -> HTML that is safe to show."""

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from skymailing.models import MessageFormat

markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def render_body(format: str, body: str) -> str:
    """Return the body of an article as HTML without scripts, styles, forms or frames."""
    if format == MessageFormat.TEXT:
        paragraphs = body.replace("\r\n", "\n").split("\n\n")
        return "\n".join(Markup("<p>{}</p>").format(lines_of(text)) for text in paragraphs if text.strip())
    html = markdown.render(body) if format == MessageFormat.MARKDOWN else body
    # What an author writes in HTML, in Markdown too, passes through the same sieve.
    return nh3.clean(html, url_schemes={"http", "https", "mailto"}, link_rel="noopener noreferrer")


def lines_of(text: str) -> Markup:
    return Markup("<br>").join(escape(line) for line in text.strip().split("\n"))
