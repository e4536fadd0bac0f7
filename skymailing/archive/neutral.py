"""Render a letter for the public: without a recipient and without any recipient's data.

Placeholders for the client's data, and links that belong to one letter, print a marker. In Liquid, a marker
is falsy, so `{% if name %}` and `| default:` work as for a client without any data. `tidying` then removes
the markers together with the adjacent words.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile

from skymailing.archive.pages import lay_out
from skymailing.archive.tidying import ADDRESS, LINK, VALUE, tidy_html, tidy_text
from skymailing.delivery.rendering import mime
from skymailing.delivery.rendering.content import LINK_NAMES, PageEdit, keep_page
from skymailing.delivery.rendering.letter import CompiledContent, Content, Rendered, TemplateError
from skymailing.delivery.rendering.plaintext import html_to_text
from skymailing.delivery.rendering.values import ValueFormats, make_clock
from skymailing.models.archive import ArchiveEntry

TITLE_LENGTH = ArchiveEntry.title.type.length
SUMMARY_LENGTH = 240  # characters
WORD = re.compile(r"[^\W_]")
BLANK_LINE = re.compile(r"\n\s*\n")
END = re.compile(r"[.!?…,:;–—-]\W{0,2}$")
URL = re.compile(r"[(<\[]?https?://\S+")


class Marker(str):
    """The string that a placeholder prints in place of a value that must not be public."""

    __slots__ = ()

    def __liquid__(self) -> None:
        """Return None, so that Liquid's conditions and its filter `default` see no value."""


class Anyone(Mapping[str, object]):
    """The values of an imaginary client who has every field, with all fields empty."""

    def __getitem__(self, name: str) -> object:
        return Marker(ADDRESS if name == "email" else VALUE)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Neutral:
    """A letter without any client's data, for publication."""

    title: str
    summary: str
    html: str


def render_neutral(
    content: Content,
    sender_name: str,
    sent_at: datetime,
    formats: ValueFormats,
    *,
    edit_page: PageEdit = keep_page,
) -> Neutral:
    """Render a letter for the public; raises TemplateError. `edit_page` changes the source of its page."""
    parts = CompiledContent(content, formats, edit_page)
    sender_name = mime.clean_line(sender_name)
    fixed = {"sender_name": sender_name, **make_clock(sent_at)}
    markers = {"name": Marker(VALUE), "email": Marker(ADDRESS), "client": Anyone()}
    links = dict.fromkeys(LINK_NAMES, Marker(LINK))
    try:
        rendered = parts.render({**fixed, **markers, **links})
    except TemplateError:
        # A filter cannot handle a marker, so print nothing, as for a client without data.
        rendered = parts.render({**fixed, **links, "name": None, "email": None, "client": {}})
    tidied = Rendered(tidy_text(rendered.subject), tidy_text(rendered.text), tidy_html(rendered.html))
    title = mime.clean_line(tidied.subject) or sender_name
    text = html_to_text(tidied.html) if tidied.html else tidied.text
    summary = summarize(text, {title, sender_name})
    return Neutral(title[:TITLE_LENGTH], summary, lay_out(tidied, content.language))


def summarize(text: str, headings: set[str]) -> str:
    """Return the beginning of a letter's text, skipping lines at its top that repeat one of the headings."""
    known = {heading.casefold() for heading in headings}

    def is_above(line: str) -> bool:
        return not WORD.search(line) or " ".join(line.split()).casefold() in known

    lines = dropwhile(is_above, URL.sub("", text).splitlines())
    paragraphs = [" ".join(part.split()) for part in BLANK_LINE.split("\n".join(lines))]
    paragraphs = [part for part in paragraphs if WORD.search(part)]
    # Headings have no full stop, and must not run into the text below them.
    ended = [part if END.search(part) else f"{part}." for part in paragraphs[:-1]]
    words = " ".join([*ended, *paragraphs[-1:]])
    if len(words) <= SUMMARY_LENGTH:
        return words
    cut = words[:SUMMARY_LENGTH]
    return (cut.rpartition(" ")[0] or cut).rstrip(" .,:;–—-") + "…"
