"""Query the clicks of a run: per link, and by whom."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from skymailing.db.pagination import Order, Page, is_beyond, paginate
from skymailing.delivery.variants.samples import sent_variant
from skymailing.extensions import db
from skymailing.mailings.click_variants import LinkCounts, count_links, has_variant
from skymailing.mailings.log_queries import format_time
from skymailing.mailings.variants import letter_of
from skymailing.models import Click, Client, Delivery, Engagement, Run, RunLink
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
    links: Sequence[RunLink | LinkCounts]


def count_clicks(run: Run, variant: int = 0) -> RunClicks:
    """Return the counts of a run, or of the letters that contain a variant of its test."""
    links: Sequence[RunLink | LinkCounts]
    of_run = select(func.count()).select_from(Engagement).where(Engagement.run_id == run.id)
    if variant:
        links = count_links(run, variant)
        of_run = of_run.join(Delivery, Delivery.id == Engagement.delivery_id).where(has_variant(run, variant))
        people = db.session.scalar(of_run.where(Engagement.clicks > 0)) or 0
    else:
        stored = select(RunLink).where(RunLink.run_id == run.id)
        links, people = db.session.scalars(stored.order_by(RunLink.number)).all(), run.clicked
    opened = None
    if run.track_opens != "off":
        opened = db.session.scalar(of_run.where(Engagement.opened_on.is_not(None)))
    return RunClicks(people, sum(link.machine_clicks for link in links), opened, links)


def list_people(run: Run, number: int | None, cursor: str | None, variant: int = 0) -> Page:
    """Return a page of (first click, clicks, Delivery) rows of those who followed links, or one link."""
    people = select_people(run.id, number)
    if variant:
        people = people.where(has_variant(run, variant))
    return paginate(people, order_people(number), cursor)


def find_names(owner_id: int, client_ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of those clients that have one, by client ID."""
    ids = {client_id for client_id in client_ids if client_id}
    if not ids:
        return {}
    # Deliveries have no foreign key to clients, so check the owner, too.
    own = (Client.owner_id == owner_id) & Client.id.in_(ids) & (Client.full_name != "")
    return dict(db.session.execute(select(Client.id, Client.full_name).where(own)).tuples().all())


def order_people(number: int | None) -> Order:
    # Sort by the indexed column: databases do not use the index for the equal column of deliveries.
    return [(Engagement.delivery_id if number is None else Click.delivery_id, False)]


def select_people(run_id: int, number: int | None) -> Select[Any]:
    """Return a statement for the rows of `list_people`."""
    model = Engagement if number is None else Click
    first = Engagement.first_click_at if number is None else Click.first_at
    people = select(first.label("first_at"), model.clicks.label("clicks"), Delivery)
    people = people.join(Delivery, Delivery.id == model.delivery_id)
    people = people.where(model.run_id == run_id, model.clicks > 0)
    return people if number is None else people.where(Click.number == number)


def export_clicks(run_id: int, *, has_variants: bool = False) -> Iterator[Sequence[Any]]:
    """Yield the rows of clicks.csv, header first: one for each recipient and link.

    With `has_variants`, the last column is the letter's variant of the run's test.

    Reads chunks by key, each in its own transaction, so that a slow download does not keep one open.
    """
    yield (*EXPORT_COLUMNS, "variant") if has_variants else EXPORT_COLUMNS
    rows = (
        select(Click.delivery_id, Click.number, Delivery.email, RunLink.url, Click.first_at, Click.clicks)
        .add_columns(sent_variant())
        .join(Delivery, Delivery.id == Click.delivery_id)
        .join(Run, Run.id == Click.run_id)
        .join(RunLink, (RunLink.run_id == Click.run_id) & (RunLink.number == Click.number))
        .where(Click.run_id == run_id, Click.clicks > 0)
        .order_by(Click.delivery_id, Click.number)
    )
    last: list[Any] = [0, 0]
    while True:
        later = is_beyond([Click.delivery_id, Click.number], [False, False], last)
        chunk = db.session.execute(rows.where(later).limit(EXPORT_CHUNK)).all()
        db.session.rollback()
        for _delivery, number, email, url, first_at, clicks, variant in chunk:
            row = (email, number, url, format_time(to_time(first_at)), clicks)
            yield (*row, letter_of(variant) if variant else "") if has_variants else row
        if len(chunk) < EXPORT_CHUNK:
            return
        last = list(chunk[-1][:2])
