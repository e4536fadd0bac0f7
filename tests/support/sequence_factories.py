"""Create sequences through the services that pages use, and read their letters."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from skymailing.audit import Actor
from skymailing.clients.tags import add_tag, find_or_create_tags
from skymailing.delivery.sequences import sweep
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    Enrolment,
    Run,
    Sequence,
    SequenceStep,
    Tag,
    User,
    WaitUnit,
    client_tags,
)
from skymailing.sequences import people, services, steps
from skymailing.sequences.values import SequenceValues, StepValues
from tests.support.factories import MessageFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
ACTOR = Actor(None, "test")


def days(count: int, **values: Any) -> dict[str, Any]:
    """Return the values of a step that waits for days."""
    return {"wait": count, "wait_unit": WaitUnit.DAYS, **values}


class Sequences:
    """An owner's sequences, and the sweep at any time."""

    def __init__(self, app: Flask, session: Session, owner: User) -> None:
        self.app, self.session, self.owner = app, session, owner

    def create(
        self, *step_values: dict[str, Any], now: datetime = NOON, is_started: bool = True, **values: Any
    ) -> Sequence:
        """Create a sequence with these steps, and start it unless `is_started` is false."""
        # Insert messages before the service's transaction begins, because SQLite allows only one writer.
        values_with_messages = [{"message_id": self._make_message()} | step for step in step_values]
        with self.app.app_context():
            owner = db.session.get_one(User, self.owner.id)
            sequence = services.create_sequence(owner, SequenceValues(name="Welcome", **values), now)
            for step in values_with_messages:
                steps.add_step(sequence, StepValues(**step), now)
            if is_started:
                services.start_sequence(sequence, now, ACTOR)
            db.session.commit()
            created = sequence.id
        return self.session.get_one(Sequence, created, populate_existing=True)

    def _make_message(self) -> int:
        return MessageFactory.create(owner=self.owner).id

    def change(self, sequence: Sequence, action: Callable[..., object], *arguments: object) -> None:
        """Call a service with the sequence, and commit."""
        with self.app.app_context():
            action(db.session.get_one(Sequence, sequence.id), *arguments)
            db.session.commit()
        self.session.refresh(sequence)

    def change_step(self, step: SequenceStep, action: Callable[..., object], *arguments: object) -> None:
        """Lock the sequence of a step, call a service with the step, and commit."""
        with self.app.app_context():
            found = db.session.get_one(SequenceStep, step.id)
            services.lock(found.sequence)
            action(found, *arguments)
            db.session.commit()

    def change_place(self, enrolment: Enrolment, action: Callable[..., object], *arguments: object) -> None:
        """Call a service with an enrolment, and commit."""
        with self.app.app_context():
            action(db.session.get_one(Enrolment, enrolment.id), *arguments)
            db.session.commit()
        self.session.refresh(enrolment)

    def add(self, sequence: Sequence, *clients: Client, now: datetime = NOON) -> None:
        """Add clients to the sequence, as the owner does."""
        ids = [client.id for client in clients]
        self.change(sequence, people.add_clients, ids, now)

    def tag(self, name: str, *clients: Client) -> Tag:
        """Give clients a tag, as pages do."""
        with self.app.app_context():
            (tag_id,) = find_or_create_tags(self.owner.id, [name]).values()
            add_tag(self.owner.id, tag_id, Client.id.in_([client.id for client in clients]))
            db.session.commit()
            return db.session.get_one(Tag, tag_id)

    def untag_all(self) -> None:
        """Remove all tags from all clients."""
        self.session.execute(delete(client_tags))

    def sweep(self, now: datetime) -> sweep.Swept:
        """Run the sweep of sequences at this time."""
        with self.app.app_context():
            return sweep.run_due(now)

    def deliver(self, now: datetime) -> None:
        """Record that all planned letters were sent at this time."""
        planned = update(Delivery).where(Delivery.state == DeliveryState.PENDING)
        self.session.execute(planned.values(state=DeliveryState.SENT, finished_at=now))

    def list_all(self) -> list[Sequence]:
        """Return the owner's sequences."""
        own = select(Sequence).where(Sequence.owner_id == self.owner.id).order_by(Sequence.id)
        return list(self.session.scalars(own))

    def list_steps(self, sequence: Sequence) -> list[SequenceStep]:
        """Return the steps, first to last, including removed ones."""
        ordered = select(SequenceStep).where(SequenceStep.sequence_id == sequence.id)
        ordered = ordered.order_by(SequenceStep.position).execution_options(populate_existing=True)
        return list(self.session.scalars(ordered))

    def list_letters(self, step: SequenceStep) -> list[str]:
        """Return the addresses for which letters of a step were planned, sorted."""
        letters = select(Delivery.email).join(Run, Run.id == Delivery.run_id)
        return sorted(self.session.scalars(letters.where(Run.mailing_id == step.mailing_id)))

    def count_letters(self, sequence: Sequence) -> list[int]:
        """Return how many letters of each step were planned."""
        return [len(self.list_letters(step)) for step in self.list_steps(sequence)]

    def find(self, sequence: Sequence, client: Client) -> Enrolment:
        """Return the client's last enrolment."""
        own = select(Enrolment).where(Enrolment.sequence_id == sequence.id, Enrolment.client_id == client.id)
        newest = own.order_by(Enrolment.id.desc()).limit(1).execution_options(populate_existing=True)
        return self.session.scalars(newest).one()
