"""Sequences: read, start and pause them, and let clients enter and leave."""

from typing import Any

from flask import abort, url_for

from skymailing import hints
from skymailing.api.paging import list_after
from skymailing.api.problems import InvalidField
from skymailing.api.schemas.base import PageQuery, list_of
from skymailing.api.schemas.sequences import (
    EnrolmentQuery,
    EnrolmentSchema,
    NewEnrolment,
    SequenceHead,
    SequenceSchema,
)
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import current_access
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.pages import page_of
from skymailing.audit import current_actor
from skymailing.clients.queries import find_own_clients
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import EVERY_DAY, Enrolment, Sequence, SequenceStep
from skymailing.security import get_own
from skymailing.sequences import people, queries, services
from skymailing.sequences.steps import list_current
from skymailing.sequences.values import SequenceError

bp = Resource("sequences", "Emails sent one after another following an event.")

HEAD = tuple(SequenceHead().fields)
COPIED = (
    *("form_id", "tag_id", "joined_topic_id", "segment_id", "date_key", "date_offset", "is_yearly"),
    *("exit_conditions", "on_late", "opens_at", "closes_at", "sender_id", "topic_id", "track_clicks"),
    "version",
)
STEP = ("id", "sequence_id", "mailing_id", "wait", "wait_unit", "at_time", "conditions", "version")
COUNTS = ("waiting", "sent", "clicked", "skipped", "left")


@bp.operation("GET /sequences", Scope.MAILINGS_READ, query=PageQuery, gives=list_of(SequenceHead))
def list_sequences(query: dict[str, Any]) -> Any:
    """List sequences, oldest first."""
    own = queries.select_sequences(current_access().owner_id)
    return page_of(list_after(own, [(Sequence.id, False)], query.get("after"), query["limit"]))


@bp.operation("GET /sequences/<int:sequence_id>", Scope.MAILINGS_READ, gives=SequenceSchema)
def get_sequence(sequence_id: int) -> Any:
    """Get a sequence with its steps and their statistics."""
    return describe(get_own(Sequence, sequence_id))


@bp.operation("POST /sequences/<int:sequence_id>/start", Scope.MAILINGS_SEND, gives=SequenceSchema)
def start_sequence(sequence_id: int) -> Any:
    """Start or resume a sequence."""
    sequence = get_own(Sequence, sequence_id)
    services.start_sequence(sequence, utcnow(), current_actor())
    after_commit(hints.hint_sequences)
    return describe(sequence)


@bp.operation("POST /sequences/<int:sequence_id>/pause", Scope.MAILINGS_WRITE, gives=SequenceSchema)
def pause_sequence(sequence_id: int) -> Any:
    """Pause a sequence: no letters are sent until it is started again; clients still enter."""
    sequence = get_own(Sequence, sequence_id)
    services.pause_sequence(sequence)
    return describe(sequence)


@bp.operation(
    "GET /sequences/<int:sequence_id>/enrolments",
    Scope.MAILINGS_READ,
    query=EnrolmentQuery,
    gives=list_of(EnrolmentSchema),
)
def list_enrolments(query: dict[str, Any], sequence_id: int) -> Any:
    """List the clients of a sequence in the order in which they entered."""
    own = queries.select_enrolments(get_own(Sequence, sequence_id).id, query.get("state"))
    return page_of(list_after(own, [(Enrolment.id, False)], query.get("after"), query["limit"]))


@bp.operation(
    "POST /sequences/<int:sequence_id>/enrolments",
    Scope.MAILINGS_SEND,
    takes=NewEnrolment,
    gives=EnrolmentSchema,
    status=201,
)
def add_enrolment(values: dict[str, Any], sequence_id: int) -> Any:
    """Let a client enter a sequence.

    The response is 409 if the client is in it, has been in it before (unless `repeat` is true), or gets no
    emails.
    """
    sequence = get_own(Sequence, sequence_id)
    found = find_own_clients(sequence.owner_id, [values["client_id"]])
    if not found:
        raise InvalidField("/client_id", SequenceError("sequence_client_missing"))
    (client,) = found
    added = people.add_client(sequence, client, utcnow(), may_repeat=values["repeat"])
    after_commit(hints.hint_sequences)
    location = url_for("api_sequences.get_enrolment", enrolment_id=added.id)
    return added, 201, {"Location": location}


@bp.operation("GET /enrolments/<big:enrolment_id>", Scope.MAILINGS_READ, gives=EnrolmentSchema)
def get_enrolment(enrolment_id: int) -> Any:
    """Get a client's progress in a sequence."""
    return find_enrolment(enrolment_id)


@bp.operation("POST /enrolments/<big:enrolment_id>/leave", Scope.MAILINGS_WRITE, gives=EnrolmentSchema)
def end_enrolment(enrolment_id: int) -> Any:
    """Take a client out of a sequence; 409 if the client is no longer in it."""
    enrolment = find_enrolment(enrolment_id)
    people.remove_client(enrolment, utcnow())
    return enrolment


def find_enrolment(enrolment_id: int) -> Enrolment:
    return queries.find_enrolment(current_access().owner_id, enrolment_id) or abort(404)


def describe(sequence: Sequence) -> dict[str, Any]:
    """Return a sequence with its steps, for the schema."""
    db.session.flush()
    copied = {name: getattr(sequence, name) for name in (*HEAD, *COPIED)}
    days = [] if sequence.weekdays == EVERY_DAY else [int(day) for day in sequence.weekdays]
    return copied | {"weekdays": days, "steps": describe_steps(sequence, list_current(sequence))}


def describe_steps(sequence: Sequence, steps: list[SequenceStep]) -> list[dict[str, Any]]:
    """Return steps of a sequence with their counts, for the schema."""
    db.session.flush()
    counts = queries.count_steps(sequence, steps)
    return [
        {name: getattr(step, name) for name in STEP}
        | {"message_id": step.mailing.message_id}
        | {name: getattr(counts[step.id], name) for name in COUNTS}
        for step in steps
    ]
