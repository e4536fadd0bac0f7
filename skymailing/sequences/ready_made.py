"""Ready-made sequences: initial settings and messages of new sequences."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from skymailing.delivery.rendering.message_content import Content
from skymailing.messages.services import save_message
from skymailing.models import Message, MessageFormat, OnLate, Sequence, Trigger
from skymailing.sequences.steps import add_step
from skymailing.sequences.values import StepValues

Texts = tuple[str, str]  # a subject and a body
MORNING = time(10)


@dataclass(frozen=True)
class ReadyMade:
    """A ready-made sequence; `letters` returns its messages in the current language, one for each step."""

    key: str
    name: LazyString
    purpose: LazyString
    icon: str
    trigger: Trigger = Trigger.MANUAL
    settings: dict[str, Any] = field(default_factory=dict)
    steps: tuple[dict[str, Any], ...] = ()
    letters: Callable[[], tuple[Texts, ...]] = tuple


def _greet(text: str) -> str:
    greeting = _("Hello, %(name)s!", name='{{ name | default: "' + _("friend") + '" }}')
    return f"{greeting}\n\n{text}\n\n[{_('Unsubscribe')}]({{{{ unsubscribe_url }}}})\n"


def _welcome() -> tuple[Texts, ...]:
    return (
        (_("Welcome!"), _greet(_("Thank you for subscribing. Here is what we will write to you about."))),
        (_("How to begin"), _greet(_("Three days ago you subscribed. Here is what others like most."))),
    )


def _birthday() -> tuple[Texts, ...]:
    return ((_("Happy birthday!"), _greet(_("Happy birthday! Here is a small present for you."))),)


def _miss() -> tuple[Texts, ...]:
    return (
        (_("We miss you"), _greet(_("We have not seen you for a while. Here is what is new."))),
        (
            _("Shall we keep in touch?"),
            _greet(_("If you no longer find our emails useful, you can unsubscribe.")),
        ),
    )


READY_MADE = (
    ReadyMade(
        "welcome",
        _l("Welcome"),
        _l("Greets new subscribers at once, and writes again three days later."),
        "envelope-paper",
        Trigger.FORM,
        {},
        ({}, {"wait": 3, "at_time": MORNING}),
        _welcome,
    ),
    ReadyMade(
        "birthday",
        _l("Birthday"),
        _l("Sends greetings every year, on a date from the client's data."),
        "calendar-event",
        Trigger.DATE,
        {"is_yearly": True, "on_late": OnLate.SKIP.value},
        ({"at_time": MORNING},),
        _birthday,
    ),
    ReadyMade(
        "miss",
        _l("We miss you"),
        _l("Emails clients who enter a segment, such as those who have not clicked for a long time."),
        "hourglass-split",
        Trigger.SEGMENT,
        {"reenter_days": 180},
        ({"at_time": MORNING}, {"wait": 7, "at_time": MORNING}),
        _miss,
    ),
    ReadyMade("empty", _l("Empty sequence"), _l("Choose everything yourself."), "plus-lg"),
)


def find_ready_made(key: str) -> ReadyMade | None:
    """Return a ready-made sequence by its key."""
    return next((ready for ready in READY_MADE if ready.key == key), None)


def add_letters(sequence: Sequence, ready: ReadyMade, now: datetime) -> None:
    """Add the messages and steps to a new sequence; raises LimitReached."""
    for values, (subject, body) in zip(ready.steps, ready.letters(), strict=True):
        message = Message(owner_id=sequence.owner_id)
        content = Content(subject, MessageFormat.MARKDOWN, body, get_locale().language)
        save_message(message, content, None)
        add_step(sequence, StepValues(message_id=message.id, **values), now)
