"""Collect the form's preview of a mailing: problems, recipients, forecast and example letter."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from skymailing.checkup.texts import Checkup
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.calendar.local_times import LocalStart
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.senders import From
from skymailing.extensions import db
from skymailing.mailings import forecast, queries
from skymailing.mailings.arrival import check_arrival, find_from
from skymailing.mailings.crowd import describe_crowd
from skymailing.mailings.file_totals import FileTotal, find_total
from skymailing.mailings.forecast import Forecast, Reach
from skymailing.mailings.form_forecast import find_zone, forecast_form, read_times
from skymailing.mailings.formats import format_clock_time
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.inbox_line import InboxLine, show_inbox_line
from skymailing.mailings.letter_trial import Trial, try_letters
from skymailing.mailings.missing_values import MissingValues, find_missing_values
from skymailing.mailings.progress_text import format_hours
from skymailing.mailings.recurrence_text import describe_recurrence
from skymailing.mailings.selection import Conditions
from skymailing.mailings.variant_forecast import ExpectedTest, find_uncountable, forecast_test
from skymailing.mailings.variants import list_contents
from skymailing.mailings.zone_forecast import ZoneForecast, count_zones, forecast_zones
from skymailing.messages.queries import find_attributes, has_example_links
from skymailing.messages.unknown_placeholders import UnknownPlaceholder, find_unknown
from skymailing.models import Audience, Client, Mailing, MailingState, Message
from skymailing.topics.queries import find_topic

# The form's steps with their fields.
AUDIENCE_FIELDS = ("audience", "include", "exclude", "clients", "topic")
STEPS = {
    "who": AUDIENCE_FIELDS,
    "what": (
        *("message", "name", "sender", "sender_name", "track_clicks", "track_opens", "variants"),
        *(*MailingForm.VARIANT_NAMES, "sample_percent", "test_hours", "winner_by"),
    ),
    "when": (
        *MailingForm.TIMES,
        *("on_late", "on_unknown"),
    ),
    "check": (),
}


@dataclass(frozen=True)
class Problem:
    """An error that keeps the mailing from being saved, and the step of its field."""

    step: str
    field: str
    label: str
    text: str


@dataclass(frozen=True)
class Start:
    """The effect of the button that sets the mailing up."""

    letters: int
    at: str  # when sending begins; empty if at once


@dataclass(frozen=True)
class Preflight:
    """The form's contents; None for those that cannot be read."""

    problems: list[Problem]
    message: Message | None
    sender: str  # name and address
    topic: str  # its name; empty if there is none
    example: Client | None  # the first client who would get a letter
    inbox: InboxLine | None  # of this client's letter
    missing: MissingValues | None
    unknown: list[UnknownPlaceholder]  # in the message
    checkup: Checkup | None  # None unless the last step is open
    has_example_links: bool  # the message still links to our templates' example site
    trial: Trial | None
    variant_trials: list[tuple[str, Trial]]  # of variants (A to D) whose letters fail for some clients
    selected: int | None  # number of selected clients; None if the mailing is for all
    starts_at: datetime | None
    ends_at: datetime | None
    recurrence: str
    hours: str
    is_new: bool  # the mailing is not set up yet
    start: Start | None  # None if the mailing cannot be set up
    is_stopped: bool  # examining the recipients took too long
    is_deferred: bool  # they are examined when the form fetches the summary
    test: ExpectedTest | None
    uncountable: list[str] | None  # see `find_uncountable`
    files: FileTotal | None  # attached to each letter; None if there are none
    zones: ZoneForecast | None  # None unless it is sent at local time


@dataclass
class Findings:
    """The facts about the recipients that could be found in time."""

    reach: Reach | None = None
    example: Client | None = None
    missing: MissingValues | None = None
    trial: Trial | None = None
    variant_trials: list[tuple[str, Trial]] = field(default_factory=list)
    is_stopped: bool = True
    is_deferred: bool = False
    zones: Mapping[str, int] = field(default_factory=dict)  # clients by time zone, if that matters


def make_preflight(
    form: MailingForm, mailing: Mailing | None, *, is_last_step: bool, may_wait: bool = True
) -> dict[str, Any]:
    """Return the context of `mailings/_summary.html` for a form that has been validated or just opened.

    Unless it `may_wait`, the recipients are examined only if they are few or have been counted.
    """
    problems, message = list_problems(form), find_chosen_message(form)
    writer = None if form.is_fixed else find_from(form)  # a fixed form has no field for it
    found = examine_recipients(form, message, may_wait=may_wait)
    context = forecast_form(form, mailing, found.reach)
    zones = forecast_form_zones(form, context["forecast"], found.zones)
    preflight = Preflight(
        problems=problems,
        message=message,
        sender=writer.mailbox if writer else "",
        topic=name_topic(form),
        example=found.example,
        inbox=find_inbox_line(form, message, writer, found),
        missing=found.missing,
        unknown=find_unknown_in(message, found.missing) if message else [],
        checkup=find_checkup(form, message, found) if message and is_last_step else None,
        has_example_links=bool(message and has_example_links(message)),
        trial=found.trial,
        variant_trials=found.variant_trials,
        selected=None if form.values.selection is None else form.validation.selected,
        starts_at=None if form.is_fixed or form.starts_at.errors else form.starts_at.data,
        ends_at=None if form.ends_at.errors else form.ends_at.data,
        recurrence="" if form.is_fixed or context["errors"] else describe_recurrence(read_times(form)),
        hours="" if context["errors"] else format_hours(form.values.sending_hours(find_zone(form))),
        is_new=mailing is None or mailing.state is MailingState.DRAFT,
        start=None if problems else find_start(context["forecast"], zones, form.now),
        is_stopped=found.is_stopped,
        is_deferred=found.is_deferred,
        test=forecast_test(form, context["forecast"]),
        uncountable=None if form.is_fixed else find_uncountable(form, message),
        files=find_total(message, found.reach.letters if found.reach else None),
        zones=zones,
    )
    return {"preflight": preflight, **context}


def examine_recipients(form: MailingForm, message: Message | None, *, may_wait: bool) -> Findings:
    """Return the facts about a form's recipients that can be found in time."""
    found = Findings()
    with suppress(TookTooLong), limit_time():
        if conditions := find_conditions(form):
            found.reach = measure_reach(form, may_wait=may_wait)
            if found.reach is None:
                return Findings(is_stopped=False, is_deferred=True)
            if form.values.is_local_time:
                found.zones = count_zones(form.owner, conditions)
            found.example = queries.find_first_recipient(form.owner, conditions)
            if message:
                found.missing = find_missing_values(form.owner, message, conditions)
                found.trial = try_letters(form.owner, read_current(db.session, message), conditions)
                for letter, variant in list_contents(form.owner, message, form.values.variants):
                    trial = try_letters(form.owner, variant, conditions)
                    found.variant_trials += [(letter, trial)] if trial and trial.failures else []
        found.is_stopped = False
    return found


def find_inbox_line(
    form: MailingForm, message: Message | None, writer: From | None, found: Findings
) -> InboxLine | None:
    """Return the example letter's line in the inbox."""
    if message is None or writer is None:
        return None
    return show_inbox_line(form.owner, message, found.example, writer.name)


def find_checkup(form: MailingForm, message: Message, found: Findings) -> Checkup:
    """Return what could keep the letters out of the inbox."""
    crowd = None
    if found.reach and found.reach.letters:
        conditions, letters = find_conditions(form), found.reach.letters
        crowd = describe_crowd(form.owner, form.values, conditions, letters, form.now)
    return check_arrival(form, message, found.example, crowd)


def forecast_form_zones(
    form: MailingForm, forecast: Forecast | None, zones: Mapping[str, int]
) -> ZoneForecast | None:
    """Return when clients in different zones get the next letters; None if not at local time or unknown."""
    if not zones or forecast is None or not forecast.occurrences:
        return None
    hours = form.values.sending_hours(find_zone(form))
    return forecast_zones(LocalStart.of(read_times(form), forecast.occurrences[0].at, hours), zones, form.now)


def find_start(forecast: Forecast | None, zones: ZoneForecast | None, now: datetime) -> Start | None:
    """Return when the first letters are sent, and how many."""
    if forecast is None or not forecast.occurrences or forecast.reach is None:
        return None
    begins_at = zones.first if zones else forecast.occurrences[0].begins_at
    if begins_at is None:
        return None
    return Start(forecast.reach.letters, format_clock_time(begins_at, now) if begins_at > now else "")


def find_unknown_in(message: Message, missing: MissingValues | None) -> list[UnknownPlaceholder]:
    """Return a message's unknown placeholders; a client's value counts only if no recipient has it."""
    values = missing.found if missing else ()
    lacking = {value.placeholder for value in values if missing and value.clients == missing.examined}
    return [
        found
        for found in find_unknown(read_current(db.session, message), find_attributes(message.owner_id))
        if found.is_foreign or found.path[0] != "client" or found.text in lacking
    ]


def list_problems(form: MailingForm) -> list[Problem]:
    return [
        Problem(step, name, form.name_label(name), str(form[name].errors[0]))
        for step, names in STEPS.items()
        for name in names
        if name in form and form[name].errors
    ]


def choose_step(form: MailingForm, mailing: Mailing | None, posted: str, *, is_picking: bool) -> str:
    """Return the step to open: the picker's, the first with an error, the open one, or the default."""
    if is_picking:
        return "who"
    if problems := list_problems(form):
        return problems[0].step
    if posted in STEPS:
        return posted
    return "check" if mailing or form.is_submitted() else "who"


def find_chosen_message(form: MailingForm) -> Message | None:
    if form.is_fixed or form.message.errors:
        return None
    own = (Message.id == form.message.data) & (Message.owner_id == form.owner.id)
    return db.session.scalar(select(Message).where(own))


def name_topic(form: MailingForm) -> str:
    """Return the name of the chosen topic; empty if there is none."""
    topic = None if form.is_fixed else find_topic(form.owner.id, form.topic.data)
    return topic.name if topic else ""


def find_conditions(form: MailingForm) -> Conditions:
    """Return the conditions of the form's audience; empty if it cannot be read or evaluated."""
    has_error = any(form.has_error(name) for name in AUDIENCE_FIELDS)
    return () if form.is_fixed or has_error else form.validation.conditions


def measure_reach(form: MailingForm, *, may_wait: bool = True) -> Reach | None:
    """Return how many clients the form's audience reaches; None if it cannot be read or is fixed.

    Also None if there are many clients, not yet counted, and it may not wait.
    """
    conditions = find_conditions(form)
    if not conditions:
        return None
    values = form.values
    if values.audience is Audience.ALL and not values.exclude and values.topic_id is None:
        return forecast.count_everyone(form.owner, may_wait=may_wait)
    is_selection = values.selection is not None and values.topic_id is None
    selected = form.validation.selected if is_selection else None
    return forecast.count_reach(form.owner, conditions, selected)
