"""Show the owner a run's letter and, next to each link, how many people followed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape

from flask_babel import format_decimal, format_percent, ngettext
from sqlalchemy import select

from skymailing.archive.neutral import render_neutral
from skymailing.delivery.rendering.letter import Content
from skymailing.delivery.rendering.tracked_links import LinkedPage
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.run_links import match_links
from skymailing.extensions import db
from skymailing.mailings.click_queries import RunClicks
from skymailing.models import Run, RunLink, RunVariant

# The badge is readable on any background, and the letter's own styles cannot hide or stretch it.
STYLE = (
    "display:inline-block;margin:0 0 0 4px;padding:1px 6px;border:1px solid #fff;border-radius:9px;"
    "background:#14366f;color:#fff;font:600 12px/16px Arial,sans-serif;letter-spacing:0;text-decoration:none;"
    "text-transform:none;white-space:nowrap;vertical-align:middle;width:auto;max-width:none"
)
QUIET = STYLE.replace("#14366f", "#5c6470")  # for links that no one followed


@dataclass(frozen=True, slots=True)
class LetterMap:
    """The data from which the map of a run's letter is rendered, without a transaction."""

    content: Content
    sender_name: str
    sent_at: datetime
    formats: ValueFormats
    people: int  # people who followed any link
    by_link: Mapping[int, int]
    stored: Mapping[int, str]

    def render(self) -> str:
        """Return the page of the letter, without any client's data; raises TemplateError."""
        letter = render_neutral(
            self.content, self.sender_name, self.sent_at, self.formats, edit_page=self.add_badges
        )
        return letter.html

    def add_badges(self, page: str) -> str:
        """Return the page with a badge after each counted link."""
        linked = LinkedPage(page)
        numbers = match_links(self.stored, linked.links)
        return linked.add_after([self._write_badge(number) for number in numbers])

    def _write_badge(self, number: int) -> str:
        people = self.by_link.get(number)
        if people is None:
            return ""
        share = format_percent(people / self.people) if self.people else ""
        title = ngettext("%(count)s person", "%(count)s people", people, count=format_decimal(people))
        text = f"{format_decimal(people)}{share and ' · '}{share}"
        return f'<span style="{STYLE if people else QUIET}" title="{escape(title)}">{escape(text)}</span>'


def read_map(run: Run, clicks: RunClicks, variant: int = 0) -> LetterMap | None:
    """Return what the map of a run, or of a variant of its test, needs; None once its text is removed."""
    if run.details_removed_at is not None or not clicks.links:
        return None
    source = db.session.get(RunVariant, (run.id, variant)) if variant else None
    by_link = {link.number: link.people for link in clicks.links}
    # All links of the run, since a worker has matched the variant's links with them, too.
    stored = select(RunLink.number, RunLink.url).where(RunLink.run_id == run.id).order_by(RunLink.number)
    return LetterMap(
        Content.of(source or run),
        (source or run).sender_name,
        run.started_at,
        ValueFormats.of(run.mailing.owner),
        clicks.people,
        by_link,
        dict(db.session.execute(stored).tuples().all()),
    )
