"""Query the clicks of a run: per link, and by whom."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from skymailing.db.pagination import Page, is_beyond, paginate
from skymailing.extensions import db
from skymailing.mailings.log_queries import format_time
from skymailing.models import Click, Delivery, Engagement, Run, RunLink
from skymailing.tracking.click_counts import to_time

EXPORT_COLUMNS = ("email", "link", "url", "first_click", "clicks")
EXPORT_CHUNK = 2_000  # rows read in one short transaction


@dataclass(frozen=True, slots=True)
class RunClicks:
    """The results of a run's letters: people who clicked and opened, and the links."""

    people: int
    machine_clicks: int
    # None if not recorded. If opens are counted per person, only people who agreed are included.
    opened: int | None
    links: Sequence[RunLink]


def count_clicks(run: Run) -> RunClicks:
    """Return the counts of a run."""
    links = db.session.scalars(select(RunLink).where(RunLink.run_id == run.id).order_by(RunLink.number)).all()
    opened = None
    if run.track_opens != "off":
        days = select(func.count()).where(Engagement.run_id == run.id, Engagement.opened_on.is_not(None))
        opened = db.session.scalar(days)
    return RunClicks(run.clicked, sum(link.machine_clicks for link in links), opened, links)


def list_people(run_id: int, number: int | None, cursor: str | None) -> Page:
    """Return a page of (first click, clicks, Delivery) rows of those who followed links, or one link."""
    # Sort by the indexed column: databases do not use the index for the equal column of deliveries.
    letter = Engagement.delivery_id if number is None else Click.delivery_id
    return paginate(_select_people(run_id, number), [(letter, False)], cursor)


def _select_people(run_id: int, number: int | None) -> Select[Any]:
    model = Engagement if number is None else Click
    first = Engagement.first_click_at if number is None else Click.first_at
    people = select(first.label("first_at"), model.clicks.label("clicks"), Delivery)
    people = people.join(Delivery, Delivery.id == model.delivery_id)
    people = people.where(model.run_id == run_id, model.clicks > 0)
    return people if number is None else people.where(Click.number == number)


def export_clicks(run_id: int) -> Iterator[Sequence[Any]]:
    """Yield the rows of clicks.csv, header first: one for each recipient and link.

    Reads chunks by key, each in its own transaction, so that a slow download does not keep one open.
    """
    yield EXPORT_COLUMNS
    rows = (
        select(Click.delivery_id, Click.number, Delivery.email, RunLink.url, Click.first_at, Click.clicks)
        .join(Delivery, Delivery.id == Click.delivery_id)
        .join(RunLink, (RunLink.run_id == Click.run_id) & (RunLink.number == Click.number))
        .where(Click.run_id == run_id, Click.clicks > 0)
        .order_by(Click.delivery_id, Click.number)
    )
    last: list[Any] = [0, 0]
    while True:
        later = is_beyond([Click.delivery_id, Click.number], [False, False], last)
        chunk = db.session.execute(rows.where(later).limit(EXPORT_CHUNK)).all()
        db.session.rollback()
        for _delivery, number, email, url, first_at, clicks in chunk:
            yield (email, number, url, format_time(to_time(first_at)), clicks)
        if len(chunk) < EXPORT_CHUNK:
            return
        last = list(chunk[-1][:2])
