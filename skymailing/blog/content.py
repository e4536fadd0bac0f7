"""Articles as their authors wrote them -> HTML that is safe to show."""

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from skymailing.models import Article, MessageFormat

markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def render_article(article: Article) -> Markup:
    """Return the body as HTML without scripts, styles, forms or frames."""
    if article.format is MessageFormat.TEXT:
        paragraphs = article.body.replace("\r\n", "\n").split("\n\n")
        return Markup("\n").join(
            Markup("<p>{}</p>").format(lines_of(text)) for text in paragraphs if text.strip()
        )
    html = markdown.render(article.body) if article.format is MessageFormat.MARKDOWN else article.body
    # What an author writes in HTML, in Markdown too, passes through the same sieve.
    clean = nh3.clean(html, url_schemes={"http", "https", "mailto"}, link_rel="noopener noreferrer")
    return Markup(clean)  # noqa: S704 - nh3 has just made it safe


def lines_of(text: str) -> Markup:
    return Markup("<br>").join(escape(line) for line in text.strip().split("\n"))
