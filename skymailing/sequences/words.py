"""Describe what starts a sequence, and how long clients wait for a step."""

from flask_babel import gettext as _
from flask_babel import ngettext

from skymailing.models import Segment, Sequence, SequenceStep, SignupForm, Tag, Topic, Trigger, WaitUnit
from skymailing.sequences.values import is_complete


def describe_start(sequence: Sequence) -> str:
    """Describe the trigger of a sequence."""
    if not is_complete(sequence):
        return str(_("not chosen yet, or deleted"))
    match sequence.trigger:
        case Trigger.FORM:
            return str(_("A client confirms their sign-up through “%(name)s”", name=name_of(sequence.form)))
        case Trigger.TAG:
            return str(_("A client gets the tag “%(name)s”", name=name_of(sequence.tag)))
        case Trigger.TOPIC:
            return str(_("A client subscribes to the topic “%(name)s”", name=name_of(sequence.joined_topic)))
        case Trigger.SEGMENT:
            return str(_("A client enters the segment “%(name)s”", name=name_of(sequence.segment)))
        case Trigger.DATE:
            return _describe_date(sequence)
    return str(_("You add clients yourself"))


def name_of(target: SignupForm | Tag | Topic | Segment | None) -> str:
    return target.name if target is not None else ""


def _describe_date(sequence: Sequence) -> str:
    key, days = sequence.date_key, abs(sequence.date_offset)
    if sequence.date_offset < 0:
        text = ngettext(
            "%(num)d day before the date in “%(name)s”",
            "%(num)d days before the date in “%(name)s”",
            days,
            name=key,
        )
    elif sequence.date_offset > 0:
        text = ngettext(
            "%(num)d day after the date in “%(name)s”",
            "%(num)d days after the date in “%(name)s”",
            days,
            name=key,
        )
    else:
        text = _("On the date in “%(name)s”", name=key)
    return str(_("%(day)s, every year", day=text)) if sequence.is_yearly else text


def describe_wait(step: SequenceStep, *, is_first: bool) -> str:
    """Describe when the letter of a step is sent, relative to the start or the previous letter."""
    if step.at_time is None:
        return _describe_length(step, is_first=is_first)
    at = step.at_time.strftime("%H:%M")
    if step.wait:
        wait = _describe_length(step, is_first=is_first)
        return str(_("%(wait)s at %(time)s", wait=wait, time=at))
    if is_first and step.sequence.trigger is Trigger.DATE:
        return str(_("On that day at %(time)s", time=at))
    return str(_("At the next %(time)s", time=at))


def _describe_length(step: SequenceStep, *, is_first: bool) -> str:
    if step.wait == 0:
        return str(_("At once") if is_first else _("Together with the previous email"))
    match step.wait_unit:
        case WaitUnit.MINUTES:
            return str(ngettext("%(num)d minute later", "%(num)d minutes later", step.wait))
        case WaitUnit.HOURS:
            return str(ngettext("%(num)d hour later", "%(num)d hours later", step.wait))
    return str(ngettext("%(num)d day later", "%(num)d days later", step.wait))
