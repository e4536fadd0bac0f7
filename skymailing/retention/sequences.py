"""Remove enrolments that ended long ago, except those that prevent clients from getting a letter again."""

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session, aliased

from skymailing.db.engine import is_in
from skymailing.extensions import db
from skymailing.models import Enrolment, Sequence, SequenceState
from skymailing.retention.batches import BATCH, TimeBudget

INTERVAL = timedelta(hours=6)  # between searches, which read all enrolments
LAST_SEARCH = "skymailing_enrolments_searched_at"  # in app.extensions


def remove_enrolments(cutoff: datetime, now: datetime, budget: TimeBudget) -> None:
    """Remove old enrolments, if their sequence is archived or the client has a later one.

    The last one of each client is kept while the sequence exists, since it decides whether the client may
    enter again.
    """
    last = current_app.extensions.get(LAST_SEARCH)
    if last is not None and timedelta() <= now - last < INTERVAL:
        return
    later = aliased(Enrolment)
    has_later = exists().where(
        later.client_id == Enrolment.client_id,
        later.sequence_id == Enrolment.sequence_id,
        later.id > Enrolment.id,
    )
    is_over = Sequence.state == SequenceState.ARCHIVED
    old = (
        select(Enrolment.id)
        .join(Sequence, Sequence.id == Enrolment.sequence_id)
        .where(Enrolment.ended_at < cutoff, or_(is_over, has_later))
        .limit(BATCH)
    )
    while not budget.is_used_up:
        with Session(db.engine) as session, session.begin():
            ids = list(session.scalars(old))
            if ids:
                session.connection().execute(delete(Enrolment).where(is_in(Enrolment.id, ids)))
        budget.record("enrolments", len(ids))
        if len(ids) < BATCH:
            current_app.extensions[LAST_SEARCH] = now
            return
