"""What a person sees of a mailing before it starts: what is missing, whom it reaches, when, and a letter."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.extensions import db
from skymailing.mailings import forecast, queries, scheduling
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.missing_values import Gaps, find_gaps
from skymailing.mailings.progress_text import clock_time, hours_words, pace_words
from skymailing.models import Audience, Client, Mailing, Message

# The steps of the form and the fields that each asks for.
STEPS = {
    "who": ("audience", "clients"),
    "what": ("message", "name", "sender_name"),
    "when": (
        *("starts_at", "ends_at", "periodicity", "weekdays", "opens_at", "closes_at"),
        *("on_late", "on_unknown"),
    ),
    "check": (),
}


@dataclass(frozen=True)
class Problem:
    """Something that keeps the mailing from being set up, and the step where it is put right."""

    step: str
    field: str
    label: str
    text: str


@dataclass(frozen=True)
class Review:
    """The form as it stands, as far as it can be read; what cannot is None."""

    problems: list[Problem]
    message: Message | None
    example: Client | None
    gaps: Gaps | None  # what clients lack of the message
    chosen: int | None  # clients, when the mailing is for some of them
    starts_at: datetime | None
    ends_at: datetime | None
    hours: str


def review(form: MailingForm, mailing: Mailing | None) -> dict[str, Any]:
    """Return what `mailings/_summary.html` needs of a form that was validated, or not yet filled in."""
    told = foreseen(form, mailing)
    message = chosen_message(form)
    seen = Review(
        problems=find_problems(form),
        message=message,
        gaps=gaps_of(form, message),
        example=example_client(form),
        chosen=form.chosen if is_for_some(form) else None,
        starts_at=None if form.is_fixed or form.starts_at.errors else form.starts_at.data,
        ends_at=None if form.ends_at.errors else form.ends_at.data,
        hours="" if told["wrong"] else hours_words(hours_of(form)),
    )
    return {"review": seen, **told}


def find_problems(form: MailingForm) -> list[Problem]:
    return [
        Problem(step, name, str(form[name].label.text), str(form[name].errors[0]))
        for step, names in STEPS.items()
        for name in names
        if name in form and form[name].errors
    ]


def step_of(form: MailingForm, mailing: Mailing | None, posted: str, *, is_picking: bool) -> str:
    """Return the step to open: where something is wrong, else where the person was, else the first."""
    if is_picking:
        return "who"
    if problems := find_problems(form):
        return problems[0].step
    if posted in STEPS:
        return posted
    return "check" if mailing or form.is_submitted() else "who"


def chosen_message(form: MailingForm) -> Message | None:
    if form.is_fixed or form.message.errors:
        return None
    chosen = form.message.data
    if not chosen and not form.is_submitted() and form.message.choices:
        chosen = form.message.choices[0].value  # what the browser shows as chosen
    own = (Message.id == chosen) & (Message.owner_id == form.owner.id)
    return db.session.scalar(select(Message).where(own))


def is_for_some(form: MailingForm) -> bool:
    return not form.is_fixed and form.audience.data == Audience.SELECTED.value


def example_client(form: MailingForm) -> Client | None:
    """Return the first client who would get a letter."""
    if form.is_fixed or form.audience.errors or form.clients.errors:
        return None
    return queries.first_reached(form.owner, form.clients.data if is_for_some(form) else None)


def gaps_of(form: MailingForm, message: Message | None) -> Gaps | None:
    """Return what the clients lack of the message, where both are known."""
    if message is None or form.audience.errors or form.clients.errors:
        return None
    return find_gaps(form.owner, message, form.clients.data if is_for_some(form) else None)


def hours_of(form: MailingForm) -> SendingHours:
    wished = Mailing()
    form.fill_hours(wished)
    return SendingHours(wished.weekdays, wished.opens_at, wished.closes_at, ZoneInfo(form.owner.timezone))


def foreseen(form: MailingForm, mailing: Mailing | None) -> dict[str, Any]:
    """Return what `mailings/_forecast.html` needs of a form that was validated, or not yet filled in."""
    wrong = [error for name in form.TIMES if name in form for error in form[name].errors]
    is_unreadable = any(form[name].errors for name in form.CHOICES if name in form)
    if wrong or is_unreadable or form.is_fixed or form.ends_at.data is None:
        return {"forecast": None, "pace": "", "wrong": wrong}
    wished = Mailing()  # added to no session
    form.fill(wished)
    reach = None
    if not form.audience.errors and not form.clients.errors:
        chosen = (form.clients.data, form.chosen) if is_for_some(form) else None
        reach = forecast.count_reach(form.owner, chosen)
    first = scheduling.first_of_change(mailing, wished, form.now) if mailing else wished.starts_at
    return tell(forecast.foresee(wished, hours_of(form), first, reach, form.now))


def tell(found: forecast.Forecast | None) -> dict[str, Any]:
    """Return what `mailings/_forecast.html` needs to show a forecast."""
    pace = pace_words(found.rate) if found and found.rate else ""
    return {"forecast": found, "pace": pace, "wrong": [], "clock_time": clock_time}
