"""Add clients who had to wait for room, and forget old requests."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from skymailing.extensions import cache, db
from skymailing.models import Signup, SignupMailbox
from skymailing.signup.confirmation import add_waiting
from skymailing.signup.requests import LETTERS_PERIOD

BATCH = 200  # per sweep
# Counting a million clients takes a second, so an owner without room is left out for a while.
FULL_KEY, RETRY_AFTER = "signups-full:{}", 300  # seconds
KEPT = LETTERS_PERIOD + timedelta(hours=1)


def add_clients(now: datetime) -> None:
    """Add people who confirmed while their owner's limit of clients was reached, as far as there is room."""
    waiting = select(Signup.id, Signup.owner_id).where(Signup.is_waiting).order_by(Signup.owner_id, Signup.id)
    rows = db.session.execute(waiting.limit(BATCH)).tuples().all()
    db.session.rollback()
    for signup_id, owner_id in rows:
        if cache.get(FULL_KEY.format(owner_id)):
            continue
        found = select(Signup).where(Signup.id == signup_id, Signup.is_waiting)
        signup = db.session.scalar(found.with_for_update(skip_locked=True))
        if signup is not None and not add_waiting(signup, now):
            cache.set(FULL_KEY.format(owner_id), True, timeout=RETRY_AFTER)
        db.session.commit()


def delete_expired(now: datetime) -> None:
    """Forget requests that no one confirmed, confirmed ones whose link has expired, and old letters."""
    expired = select(Signup.id).where(Signup.expires_at < now, ~Signup.is_waiting).limit(1000)
    db.session.execute(delete(Signup).where(Signup.id.in_(expired.scalar_subquery())))
    db.session.execute(delete(SignupMailbox).where(SignupMailbox.latest_at < now - KEPT))
