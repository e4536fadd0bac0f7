"""The guides for API users: pages of `docs/`, without their chapters for engineers."""

import re
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

DOCS = Path(__file__).resolve().parents[2] / "docs"
# The page of each guide, in the order in which /api/ lists them.
GUIDES = {"api": "Working with the API", "transactional": "Transactional emails", "webhooks": "Webhooks"}
FOR_ENGINEERS = ("How it is built", "How it works", "How to extend")
CHAPTER = re.compile(r"^(?=## )", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md(#[a-z-]+)?\)")
ANCHORED = re.compile(r'<h2 id="([^"]*)">(.*?)</h2>')
HEADING = re.compile(r"<h([23])>(.*?)</h\1>")


@cache
def read_guide(name: str, prefix: str) -> str | None:
    """Return a guide as HTML, or None if it does not exist; `prefix` begins each guide's path."""
    if name not in GUIDES:
        return None
    first, *chapters = CHAPTER.split((DOCS / f"{name}.md").read_text())
    kept = [chapter for chapter in chapters if not chapter[3:].startswith(FOR_ENGINEERS)]
    text = LINK.sub(lambda link: _rewrite_link(link, prefix), "".join([first, *kept]))
    html = MarkdownIt("commonmark").enable("table").render(text)
    html = re.sub(r"<h1>.*?</h1>\n?", "", html, count=1)  # the page has its own title
    html = html.replace("<table>", '<div class="table-responsive"><table class="table">')
    return HEADING.sub(_add_id, html.replace("</table>", "</table></div>"))


def list_chapters(html: str) -> list[tuple[str, str]]:
    """Return the anchor and the title of each chapter of a guide."""
    return [(anchor, re.sub(r"<[^>]+>", "", title)) for anchor, title in ANCHORED.findall(html)]


def _rewrite_link(link: re.Match[str], prefix: str) -> str:
    """Adapt links to other guides; replace links to other pages with their text."""
    text, page, place = link.groups()
    if page not in GUIDES:
        return text.removesuffix(".md")
    title = GUIDES[page] if text.endswith(".md") else text
    return f"[{title}]({prefix}{page}{place or ''})"


def _add_id(heading: re.Match[str]) -> str:
    level, text = heading.groups()
    anchor = re.sub(r"[^a-z]+", "-", re.sub(r"<[^>]+>", "", text).lower()).strip("-")
    return f'<h{level} id="{anchor}">{text}</h{level}>'
