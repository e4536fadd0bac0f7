"""Define the data of each type of event, as described in docs/webhooks.md. Programs rely on these names.

Times are written as ISO 8601 in UTC. Addresses are in the form used for comparison, mostly lowercase.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from skymailing.events.recording import Event
from skymailing.models import (
    Bounce,
    EventType,
    LeaveReason,
    Mailing,
    Run,
    Signup,
    StateReason,
    SuppressionReason,
)
from skymailing.models import Sequence as LetterSequence


def write_time(moment: datetime | None) -> str | None:
    """Return a time in the format of all payloads."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


# --- Clients ----------------------------------------------------------------------------------


def client_confirmed(signup: Signup, form_uuid: str, at: datetime) -> Event:
    """Someone confirmed a subscription; `values` is what they entered, by field key."""
    data = {
        "email": signup.email,
        "values": dict(signup.values),
        "form_id": signup.form_id,
        "form_uuid": form_uuid,
    }
    return Event(signup.owner_id, EventType.CLIENT_CONFIRMED, data, at)


def client_unsubscribed(
    owner_id: int, email: str, topic_id: int | None, run_id: int | None, at: datetime
) -> Event:
    """Someone unsubscribed: from a topic, or from everything if there is none."""
    data = {"email": email, "topic_id": topic_id, "run_id": run_id}
    return Event(owner_id, EventType.CLIENT_UNSUBSCRIBED, data, at)


def client_resubscribed(
    owner_id: int, email: str, topic_id: int | None, run_id: int | None, at: datetime
) -> Event:
    """Someone subscribed again: to a topic, or to everything if there is none."""
    data = {"email": email, "topic_id": topic_id, "run_id": run_id}
    return Event(owner_id, EventType.CLIENT_RESUBSCRIBED, data, at)


def client_complained(bounce: Bounce, at: datetime) -> Event:
    """Someone marked a letter as spam."""
    data = {"email": bounce.email_key, "mailing_id": bounce.mailing_id, "run_id": bounce.run_id}
    return Event(_owner_of(bounce), EventType.CLIENT_COMPLAINED, data, at)


def client_suppressed(owner_id: int, email: str, reason: SuppressionReason, note: str, at: datetime) -> Event:
    """An address gets no more mailings, because the owner has suppressed it or it does not exist."""
    data = {"email": email, "reason": reason.value, "note": note}
    return Event(owner_id, EventType.CLIENT_SUPPRESSED, data, at)


def bounce_received(bounce: Bounce, at: datetime) -> Event:
    """A letter was returned after the mail server had accepted it."""
    data = {
        "email": bounce.email_key,
        "kind": bounce.kind.value,
        "status": bounce.status,
        "diagnostic": bounce.diagnostic,
        "delivery_id": bounce.delivery_id,
        "mailing_id": bounce.mailing_id,
        "run_id": bounce.run_id,
    }
    return Event(_owner_of(bounce), EventType.BOUNCE_RECEIVED, data, at)


def _owner_of(bounce: Bounce) -> int:
    assert bounce.owner_id is not None
    return bounce.owner_id


# --- Mailings ---------------------------------------------------------------------------------


def mailing_started(mailing: Mailing, run: Run, at: datetime) -> Event:
    """A run was planned, and its letters are being sent."""
    data = {**_describe(mailing), "run_id": run.id, "planned": run.planned}
    return Event(mailing.owner_id, EventType.MAILING_STARTED, data, at)


def mailing_paused(mailing: Mailing, at: datetime) -> Event:
    """A mailing was paused, by its owner if the reason is empty, otherwise by the service."""
    event = paused_together(mailing.owner_id, mailing.id, mailing.name, mailing.state_reason, at)
    return replace(event, data={**event.data, **_describe(mailing)})


def paused_together(owner_id: int, mailing_id: int, name: str, reason: str, at: datetime) -> Event:
    """A mailing was paused by the service, together with its owner's other mailings."""
    code, _colon, detail = reason.partition(": ")
    data = {"mailing": {"id": mailing_id, "name": name}, "reason": code, "detail": detail}
    return Event(owner_id, EventType.MAILING_PAUSED, data, at)


def mailing_finished(mailing: Mailing, at: datetime) -> Event:
    """A mailing will not run again, unless its owner extends it."""
    reason = mailing.state_reason if mailing.state_reason in set(StateReason) else ""
    data = {**_describe(mailing), "reason": reason}
    return Event(mailing.owner_id, EventType.MAILING_FINISHED, data, at)


def run_finished(mailing: Mailing, run: Run, letters: Mapping[str, int], at: datetime) -> Event:
    """All letters of a run have a result; `letters` counts them by state."""
    data = {
        **_describe(mailing),
        "run_id": run.id,
        "state": run.state.value,
        "started_at": write_time(run.started_at),
        "planned": run.planned,
        "letters": dict(letters),
    }
    return Event(mailing.owner_id, EventType.RUN_FINISHED, data, at)


def test_decided(mailing: Mailing, run: Run, at: datetime) -> Event:
    """The winner of an A/B test was chosen; `decision` describes how."""
    data = {
        **_describe(mailing),
        "run_id": run.id,
        "winner": run.winner,
        "decision": str(run.decision),
    }
    return Event(mailing.owner_id, EventType.TEST_DECIDED, data, at)


def _describe(mailing: Mailing) -> dict[str, Any]:
    described = {"mailing": {"id": mailing.id, "name": mailing.name}}
    return described | {"test": True} if mailing.is_caught else described


# --- Many at once -----------------------------------------------------------------------------


def clicks_counted(owner_id: int, clicks: Sequence[Mapping[str, Any]], at: datetime) -> Event:
    """Click counts have changed; each entry has the counts of one link in one letter."""
    return Event(owner_id, EventType.CLICKS_COUNTED, {"clicks": list(clicks)}, at)


def enrolments_changed(
    type_: EventType,
    sequence: LetterSequence,
    clients: Sequence[Mapping[str, Any]],
    at: datetime,
    reason: LeaveReason | None,
) -> Event:
    """Clients have entered a sequence, completed it, or left it for a reason."""
    data: dict[str, Any] = {"sequence": {"id": sequence.id, "name": sequence.name}}
    data |= {"enrolments": list(clients)} | ({"reason": reason.value} if reason else {})
    return Event(sequence.owner_id, type_, data, at)


def letters_changed(owner_id: int, after: int, until: int, at: datetime) -> Event:
    """Letters were attempted; the event contains the range of attempts; the call adds their results."""
    return Event(owner_id, EventType.LETTERS_CHANGED, {"after": after, "until": until}, at)


def webhook_test(owner_id: int, at: datetime) -> Event:
    """The owner is testing an endpoint."""
    return Event(owner_id, EventType.WEBHOOK_TEST, {"text": "This is a test."}, at)
