"""Add people who confirmed while their owner's client limit was reached, and delete old requests."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from skymailing.extensions import cache, db
from skymailing.models import Signup, SignupForm, SignupMailbox
from skymailing.signup.confirmation import add_waiting, keep_form
from skymailing.signup.requests import LETTERS_PERIOD

BATCH = 200  # per sweep
# Counting a million clients takes a second, so an owner without room is skipped for a while.
FULL_KEY, RETRY_AFTER = "signups-full:{}", 300  # seconds
MAILBOX_RETENTION = LETTERS_PERIOD + timedelta(hours=1)


def add_clients(now: datetime) -> None:
    """Add people who confirmed while their owner's client limit was reached, as far as there is room."""
    owners = db.session.scalars(select(Signup.owner_id).where(Signup.is_waiting).distinct()).all()
    db.session.rollback()
    for owner_id in owners:
        if not cache.get(FULL_KEY.format(owner_id)):
            # Equal shares, so that the many people of one owner do not delay those of other owners.
            _add_owner_clients(owner_id, max(1, BATCH // len(owners)), now)


def _add_owner_clients(owner_id: int, limit: int, now: datetime) -> None:
    waiting = select(Signup.id, Signup.form_id).where(Signup.is_waiting, Signup.owner_id == owner_id)
    rows = db.session.execute(waiting.order_by(Signup.id).limit(limit)).tuples().all()
    db.session.rollback()
    for signup_id, form_id in rows:
        keep_form(SignupForm.id == form_id)
        found = select(Signup).where(Signup.id == signup_id, Signup.is_waiting)
        signup = db.session.scalar(found.with_for_update(skip_locked=True))
        is_full = signup is not None and not add_waiting(signup, now)
        db.session.commit()
        if is_full:
            cache.set(FULL_KEY.format(owner_id), True, timeout=RETRY_AFTER)
            return


def delete_expired(now: datetime) -> None:
    """Delete unconfirmed requests, confirmed ones whose link has expired, and records of old letters."""
    expired = select(Signup.id).where(Signup.expires_at < now, ~Signup.is_waiting).limit(1000)
    db.session.execute(delete(Signup).where(Signup.id.in_(expired.scalar_subquery())))
    db.session.execute(delete(SignupMailbox).where(SignupMailbox.latest_at < now - MAILBOX_RETENTION))
