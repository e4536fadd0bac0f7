"""The clicks in the letters of each variant of a test: by how many people, and on which links."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from skymailing.extensions import db
from skymailing.models import Click, Delivery, Engagement, MessageFormat, Run, RunLink, RunVariant
from skymailing.models.tracking import variant_bit


@dataclass(frozen=True, slots=True)
class VariantClicks:
    """A variant, and the people who clicked in its letters, inside and outside the sample."""

    number: int
    subject: str
    people: int


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """A link in the letters of a variant, with its counts in these letters; see `RunLink`."""

    number: int
    url: str
    label: str
    people: int
    clicks: int
    machine_clicks: int


def list_variants(run: Run) -> Sequence[VariantClicks]:
    """Return the variants of a run's test; none if it has no test, or its details have been removed."""
    if run.test_ends_at is None or run.details_removed_at is not None:
        return []
    clicked = (
        select(Delivery.variant, func.count())
        .select_from(Engagement)
        .join(Delivery, Delivery.id == Engagement.delivery_id)
        .where(Engagement.run_id == run.id, Engagement.clicks > 0)
        .group_by(Delivery.variant)
    )
    people: Counter[int] = Counter()
    for variant, count in db.session.execute(clicked).tuples():
        people[variant or run.winner or 0] += count
    variants = select(RunVariant.number, RunVariant.subject).where(RunVariant.run_id == run.id)
    rows = db.session.execute(variants.order_by(RunVariant.number)).tuples()
    return [VariantClicks(number, subject, people[number]) for number, subject in rows]


def is_text(run: Run, variant: int = 0) -> bool:
    """Return whether the letters of a run, or of a variant of its test, are plain text."""
    formats = select(RunVariant.format).where(RunVariant.run_id == run.id)
    if variant:
        formats = formats.where(RunVariant.number == variant)
    return set(db.session.scalars(formats).all() or [run.format]) == {MessageFormat.TEXT}


def has_variant(run: Run, variant: int) -> ColumnElement[bool]:
    """Return the condition that the letter of a run's delivery contains a variant."""
    in_sample = Delivery.variant == variant
    return in_sample | Delivery.variant.is_(None) if variant == run.winner else in_sample


def count_links(run: Run, variant: int) -> list[LinkCounts]:
    """Return the links in the letters of a variant, and how often they were followed there."""
    sums = (
        func.count().filter(Click.clicks > 0),
        func.sum(Click.clicks),
        func.sum(Click.machine_clicks),
    )
    counted = (
        select(Click.number, *sums)
        .join(Delivery, Delivery.id == Click.delivery_id)
        .where(Click.run_id == run.id, has_variant(run, variant))
        .group_by(Click.number)
    )
    counts = {number: tuple(map(int, row)) for number, *row in db.session.execute(counted)}
    links = db.session.scalars(select(RunLink).where(RunLink.run_id == run.id).order_by(RunLink.number))
    bit = variant_bit(variant)
    return [
        LinkCounts(link.number, link.url, link.label, *counts.get(link.number, (0, 0, 0)))
        for link in links
        if link.number in counts or not link.variants or link.variants & bit
    ]
