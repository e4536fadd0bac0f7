"""Read the values of a saved mailing, so that a program can change some of them."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from skymailing.extensions import db
from skymailing.mailings.audience import SEGMENT, TAG
from skymailing.mailings.selection import Selection, read_selection
from skymailing.mailings.values import MailingValues
from skymailing.mailings.variants import read_variants
from skymailing.models import (
    EVERY_DAY,
    Audience,
    Mailing,
    MailingAudience,
    OnPassed,
    OpenTracking,
    WinnerBy,
)

DEFAULT_PERCENT = MailingValues.sample_percent


def read_values(mailing: Mailing) -> MailingValues:
    """Return the values from which the mailing could be created again."""
    include, exclude = read_part_names([mailing.id]).get(mailing.id, ((), ()))
    is_selected = mailing.audience is Audience.SELECTED
    return MailingValues(
        name=mailing.name,
        message_id=mailing.message_id,
        sender_id=mailing.sender_id,
        sender_name=mailing.sender_name,
        topic_id=mailing.topic_id,
        audience=find_shown_audience(mailing),
        clients=read_selection(mailing) if is_selected else Selection(),
        include=include,
        exclude=exclude,
        starts_at=mailing.starts_at,
        is_local_time=mailing.is_local_time,
        on_passed=OnPassed(mailing.on_passed),
        ends_at=mailing.ends_at,
        periodicity=mailing.periodicity,
        repeat_unit=mailing.repeat_unit,
        repeat_every=mailing.repeat_every,
        repeat_weekdays=mailing.repeat_weekdays,
        repeat_on_last_day=mailing.repeat_on_last_day,
        weekdays="" if mailing.weekdays == EVERY_DAY else mailing.weekdays,
        opens_at=mailing.opens_at,
        closes_at=mailing.closes_at,
        on_late=mailing.on_late,
        on_unknown=mailing.on_unknown,
        track_clicks=mailing.track_clicks,
        track_opens=OpenTracking(mailing.track_opens),
        variants=read_variants(mailing),
        sample_percent=mailing.sample_percent or DEFAULT_PERCENT,
        test_hours=mailing.test_hours,
        winner_by=WinnerBy(mailing.winner_by),
    )


def find_shown_audience(mailing: Mailing) -> Audience:
    """Return the audience as forms and programs name it."""
    return Audience.ALL if mailing.audience is Audience.ALL_EXCEPT else mailing.audience


def read_part_names(mailing_ids: Sequence[int]) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the names of the segments and tags that mailings include and exclude, by mailing ID."""
    rows = db.session.scalars(
        select(MailingAudience)
        .where(MailingAudience.mailing_id.in_(mailing_ids))
        .options(joinedload(MailingAudience.tag))
        .order_by(MailingAudience.mailing_id, MailingAudience.position)
    )
    names: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for row in rows:
        name = f"{TAG}:{row.tag.name}" if row.tag else f"{SEGMENT}:{row.segment_id}"
        include, exclude = names.get(row.mailing_id, ((), ()))
        changed = (include, (*exclude, name)) if row.is_excluded else ((*include, name), exclude)
        names[row.mailing_id] = changed
    return names
