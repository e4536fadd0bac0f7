"""Query forms and their counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import joinedload

from skymailing.extensions import db
from skymailing.models import Brand, FormDay, Sender, Signup, SignupForm, User
from skymailing.signup.requests import find_day

RECENT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many people requested and confirmed a subscription, in total and in the last 30 days."""

    requested: int = 0
    confirmed: int = 0
    recently_requested: int = 0
    recently_confirmed: int = 0


def list_forms(owner_id: int) -> Sequence[SignupForm]:
    """Return the owner's forms by name."""
    by_name = select_forms(owner_id).order_by(func.lower(SignupForm.name), SignupForm.id)
    return db.session.scalars(by_name).all()


def select_forms(owner_id: int) -> Select[tuple[SignupForm]]:
    """Return a statement for the owner's forms."""
    return select(SignupForm).where(SignupForm.owner_id == owner_id)


def select_signups(form_id: int, is_confirmed: bool | None) -> Select[tuple[Signup]]:
    """Return a statement for the requests to a form: all of them if `is_confirmed` is None."""
    statement = select(Signup).where(Signup.form_id == form_id)
    if is_confirmed is None:
        return statement
    is_open = Signup.confirmed_at.is_(None)
    return statement.where(~is_open if is_confirmed else is_open)


def count_people(form_ids: Sequence[int], now: datetime) -> dict[int, Numbers]:
    """Return the counts of each form that has any, by form ID."""
    is_recent = FormDay.day > find_day(now) - timedelta(days=RECENT_DAYS)
    sums = [func.sum(column) for column in (FormDay.requested, FormDay.confirmed)]
    recent = [
        func.sum(case((is_recent, column), else_=0)) for column in (FormDay.requested, FormDay.confirmed)
    ]
    counted = select(FormDay.form_id, *sums, *recent).where(FormDay.form_id.in_(form_ids))
    rows = db.session.execute(counted.group_by(FormDay.form_id))
    return {form_id: Numbers(*map(int, values)) for form_id, *values in rows}


def count_waiting(form_id: int) -> int:
    """Return how many people confirmed after the owner's client limit was reached."""
    waiting = select(func.count()).where(Signup.form_id == form_id, Signup.is_waiting)
    return db.session.scalar(waiting) or 0


def find_public_form(uuid: str) -> tuple[SignupForm, Brand | None] | None:
    """Return a form with its owner's brand, for its public page."""
    return db.session.execute(PUBLIC.where(SignupForm.uuid == uuid)).tuples().one_or_none()


PUBLIC = (
    select(SignupForm, Brand)
    .outerjoin(Brand, Brand.owner_id == SignupForm.owner_id)
    .options(
        joinedload(SignupForm.owner, innerjoin=True), joinedload(SignupForm.sender).joinedload(Sender.server)
    )
)


def keep_open(form_id: int) -> bool:
    """Return whether a form still accepts sign-ups, and prevent deletion until the transaction ends."""
    accepts = (
        SignupForm.is_open
        & User.confirmed_at.is_not(None)
        & User.blocked_at.is_(None)
        & User.deletion_at.is_(None)
    )
    found = select(SignupForm.id).join(SignupForm.owner).where(SignupForm.id == form_id, accepts)
    locked = found.with_for_update(read=True, key_share=True, of=SignupForm)
    return db.session.scalar(locked) is not None


def is_accepting(form: SignupForm) -> bool:
    """Return whether people can subscribe through the form."""
    return form.is_open and has_active_owner(form)


def has_active_owner(form: SignupForm) -> bool:
    """Return whether links in confirmation letters work, even if the form has been closed since."""
    return form.owner.is_active and form.owner.deletion_at is None
