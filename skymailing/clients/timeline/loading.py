"""Load the objects of events, with one or two queries for each kind of event on a page."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import joinedload, load_only

from skymailing.clients.timeline.kinds import LINKS_PER_LETTER, EventKind
from skymailing.extensions import db
from skymailing.models import (
    Attempt,
    Bounce,
    Click,
    Client,
    ClientImport,
    ClientNote,
    Consent,
    Delivery,
    DeliveryState,
    Engagement,
    Enrolment,
    Mailing,
    MergedAddress,
    Message,
    OptOut,
    Origin,
    Purchase,
    Run,
    RunLink,
    Sequence,
    SignupForm,
    Suppression,
    Topic,
    TopicChoice,
    TransactionalLetter,
)

Refs = Collection[int]
# The states in which the last reply explains why the letter has not arrived.
EXPLAINED = (DeliveryState.FAILED, DeliveryState.DEFERRED, DeliveryState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of a mailing or a sequence."""

    delivery: Delivery
    run: Run  # without its text
    mailing: Mailing
    subject: str  # of the message, if it is a letter of a sequence
    engagement: Engagement | None
    attempt: Attempt | None  # the last one, if its reply explains the state


def load_items(client: Client, kind: EventKind, refs: Refs) -> dict[int, Any]:
    """Return the objects of the client's events by `ref`."""
    return LOADERS[kind](client, refs)


def _load_letters(_client: Client, refs: Refs) -> dict[int, Any]:
    kept = (
        load_only(Run.id, Run.topic_id, Run.audience, Run.started_at, Run.mailing_id),
        load_only(Mailing.id, Mailing.name, Mailing.kind),
    )
    letters = select(Delivery, Run, Mailing, Message.subject, Engagement).options(*kept)
    letters = letters.join(Run, Run.id == Delivery.run_id).join(Mailing, Mailing.id == Run.mailing_id)
    letters = letters.join(Message, Message.id == Mailing.message_id)
    letters = letters.outerjoin(Engagement, Engagement.delivery_id == Delivery.id)
    rows = db.session.execute(letters.where(Delivery.id.in_(refs))).tuples().all()
    attempts = _load_attempts([row[0].id for row in rows if row[0].state in EXPLAINED])
    return {row[0].id: Letter(*row, attempts.get(row[0].id)) for row in rows}


def _load_added(_client: Client, refs: Refs) -> dict[int, Any]:
    """Return clients, with the names of the imports and forms through which they were added, if known."""
    statement = (
        select(Client, func.coalesce(ClientImport.filename, SignupForm.name).label("name"))
        .outerjoin(ClientImport, _added(ClientImport, Origin.IMPORT))
        .outerjoin(SignupForm, _added(SignupForm, Origin.FORM))
        .where(Client.id.in_(refs))
    )
    return {row.Client.id: row for row in db.session.execute(statement)}


def _added(model: type[ClientImport | SignupForm], origin: Origin) -> ColumnElement[bool]:
    """Return whether a client was added through an import or form; a newer one may have a reused ID."""
    is_it = (Client.origin == origin) & (model.id == Client.origin_id)
    return is_it & (model.owner_id == Client.owner_id) & (model.created_at <= Client.created_at)


def _load_attempts(delivery_ids: Refs) -> dict[int, Attempt]:
    """Return the last attempt of each letter that has one."""
    if not delivery_ids:
        return {}
    attempts = select(Attempt).where(Attempt.delivery_id.in_(delivery_ids)).order_by(Attempt.number)
    return {attempt.delivery_id: attempt for attempt in db.session.scalars(attempts)}


def _load_transactional(client: Client, refs: Refs) -> dict[int, Any]:
    letters = select(TransactionalLetter).where(TransactionalLetter.delivery_id.in_(refs))
    letters = letters.where(TransactionalLetter.owner_id == client.owner_id)
    whole = (joinedload(TransactionalLetter.content), joinedload(TransactionalLetter.delivery))
    return {letter.delivery_id: letter for letter in db.session.scalars(letters.options(*whole))}


def _load_clicks(_client: Client, refs: Refs) -> dict[int, Any]:
    """Return rows with the click, its link, and the name of the mailing."""
    clicks = select(Click, RunLink, Mailing.name).join(Run, Run.id == Click.run_id)
    clicks = clicks.join(Mailing, Mailing.id == Run.mailing_id)
    is_link = (RunLink.run_id == Click.run_id) & (RunLink.number == Click.number)
    letters = {ref // LINKS_PER_LETTER for ref in refs}
    rows = db.session.execute(clicks.outerjoin(RunLink, is_link).where(Click.delivery_id.in_(letters)))
    return {row.Click.delivery_id * LINKS_PER_LETTER + row.Click.number: row for row in rows}


def _load_opens(_client: Client, refs: Refs) -> dict[int, Any]:
    opens = select(Engagement, Mailing.name).join(Mailing, Mailing.id == Engagement.mailing_id)
    return _by_id(opens.where(Engagement.delivery_id.in_(refs)), "delivery_id")


def _by_id(statement: Select[Any], key: str = "id") -> dict[int, Row[Any]]:
    """Return rows by the ID of their first entity."""
    return {getattr(row[0], key): row for row in db.session.execute(statement)}


def _load_named(model: Any, name: Any, on: Any) -> Callable[[Client, Refs], dict[int, Any]]:
    """Return a loader for rows of a model, with the name of a related object or None if it was deleted."""

    def load(client: Client, refs: Refs) -> dict[int, Any]:
        # Not all of these columns have a foreign key.
        same_owner = name.class_.owner_id == model.owner_id
        joined = select(model, name).outerjoin(name.class_, on & same_owner)
        return _by_id(joined.where(model.owner_id == client.owner_id, model.id.in_(refs)))

    return load


def _load_own(model: Any) -> Callable[[Client, Refs], dict[int, Any]]:
    """Return a loader for rows of a model that has an owner."""

    def load(client: Client, refs: Refs) -> dict[int, Any]:
        rows = db.session.scalars(select(model).where(model.owner_id == client.owner_id, model.id.in_(refs)))
        return {row.id: row for row in rows}

    return load


def _load_topics(client: Client, refs: Refs) -> dict[int, Any]:
    choices = select(TopicChoice, Topic.name).join(Topic, Topic.id == TopicChoice.topic_id)
    of_person = TopicChoice.email_key == client.email_key
    own = (Topic.owner_id == client.owner_id) & of_person
    return _by_id(choices.where(own, TopicChoice.topic_id.in_(refs)), "topic_id")


def _load_enrolments(client: Client, refs: Refs) -> dict[int, Any]:
    rows = select(Enrolment, Sequence.name).join(Sequence, Sequence.id == Enrolment.sequence_id)
    return _by_id(rows.where(Sequence.owner_id == client.owner_id, Enrolment.id.in_(refs)))


LOADERS: dict[EventKind, Callable[[Client, Refs], dict[int, Any]]] = {
    EventKind.ADDED: _load_added,
    EventKind.BOUNCE: _load_named(Bounce, Mailing.name, Mailing.id == Bounce.mailing_id),
    EventKind.CLICK: _load_clicks,
    EventKind.CONSENT: _load_named(Consent, SignupForm.name, SignupForm.id == Consent.form_id),
    EventKind.ENTERED: _load_enrolments,
    EventKind.LEFT: _load_enrolments,
    EventKind.LETTER: _load_letters,
    EventKind.MERGED: _load_own(MergedAddress),
    EventKind.NOTE: _load_own(ClientNote),
    EventKind.OPEN: _load_opens,
    EventKind.OPT_OUT: _load_named(OptOut, Topic.name, Topic.id == OptOut.topic_id),
    EventKind.OPT_OUT_UNDONE: _load_named(OptOut, Topic.name, Topic.id == OptOut.topic_id),
    EventKind.PURCHASE: _load_named(Purchase, Mailing.name, Mailing.id == Purchase.mailing_id),
    EventKind.SUPPRESSED: _load_own(Suppression),
    EventKind.TOPIC: _load_topics,
    EventKind.TRANSACTIONAL: _load_transactional,
}
