"""Let events of every kind happen to a client, each at a given time."""

from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from skymailing.models import (
    Bounce,
    BounceKind,
    Client,
    ClientNote,
    Consent,
    Delivery,
    DeliveryState,
    Engagement,
    Enrolment,
    MailingKind,
    MergedAddress,
    OptOut,
    Outcome,
    Proof,
    RunLink,
    Sequence,
    SequenceStep,
    Suppression,
    SuppressionReason,
    TopicChoice,
)
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, RunFactory
from tests.support.sales import PurchaseFactory, click
from tests.support.signup_factories import TopicFactory

numbers = count(1)


class History:
    """What happened to a client."""

    def __init__(self, session: Session, client: Client) -> None:
        self.session, self.client = session, client
        self.address = {"owner_id": client.owner_id, "email_key": client.email_key}

    def add(self, *rows: Any) -> None:
        """Store rows."""
        self.session.add_all(rows)
        self.session.flush()

    def letter(self, at: datetime, state: DeliveryState = DeliveryState.SENT, **values: Any) -> Delivery:
        """Send a letter of a new mailing."""
        mailing = MailingFactory.create(owner=self.client.owner, **{"name": "Sale"} | values)
        run = RunFactory.create(mailing=mailing, started_at=at)
        delivery: Delivery = DeliveryFactory.create(
            run=run, client=self.client, state=state, finished_at=at, attempts=1
        )
        if state is DeliveryState.FAILED:
            reply = {"outcome": Outcome.FAILED, "code": 552, "answer": "5.2.2 The mailbox is full"}
            AttemptFactory.create(delivery=delivery, at=at, **reply)
        return delivery

    def click(self, letter: Delivery, at: datetime) -> None:
        """Follow the first link of a letter twice."""
        self.add(RunLink(run_id=letter.run_id, number=1, url="https://shop.example/tea", label="Tea"))
        click(letter, at, clicks=2)

    def open(self, letter: Delivery, at: datetime) -> None:
        """Open a letter three times, the last time at `at`."""
        key = {"delivery_id": letter.id, "run_id": letter.run_id, "mailing_id": letter.run.mailing_id}
        self.add(Engagement(**key, opens=3, last_open_at=int(at.timestamp() * 1000)))

    def purchase(self, at: datetime, **values: Any) -> None:
        PurchaseFactory.create(client=self.client, purchased_at=at, **values)

    def bounce(self, at: datetime, kind: BounceKind = BounceKind.SOFT) -> None:
        values = {"kind": kind, "proof": Proof.SIGNED, "status": "4.2.2", "diagnostic": "mailbox full"}
        self.add(Bounce(**self.address, **values, received_at=at))

    def consent(self, at: datetime, kind: str, **values: Any) -> None:
        self.add(Consent(**self.address, kind=kind, at=at, **values))

    def opt_out(self, at: datetime, **values: Any) -> None:
        self.add(OptOut(**self.address, at=at, **values))

    def topic(self, at: datetime, *, is_joined: bool) -> None:
        """Join or leave a new topic."""
        topic = TopicFactory.create(owner=self.client.owner, name=f"topic {next(numbers)}")
        choice = {"is_joined": is_joined, "changed_at": at, "is_by_owner": is_joined}
        self.add(TopicChoice(**self.address, **choice, topic_id=topic.id))

    def suppress(self, at: datetime, reason: SuppressionReason = SuppressionReason.MANUAL) -> None:
        self.add(Suppression(**self.address, reason=reason, created_at=at))

    def merge(self, at: datetime) -> None:
        merged = {"email_key": f"old{next(numbers)}@example.org", "kept_key": self.client.email_key}
        self.add(MergedAddress(owner_id=self.client.owner_id, **merged, created_at=at))

    def sequence(self, entered: datetime, ended: datetime | None = None, reason: str = "") -> None:
        """Enter a new sequence, and leave or complete it."""
        sequence = Sequence(owner_id=self.client.owner_id, name="Welcome")
        mailing = MailingFactory.create(owner=self.client.owner, kind=MailingKind.SEQUENCE)
        self.add(sequence)
        step = SequenceStep(sequence_id=sequence.id, position=1, mailing_id=mailing.id)
        self.add(step)
        values = {"sequence_id": sequence.id, "step_id": step.id, "due_at": entered, "left_reason": reason}
        state = "active" if ended is None else "left" if reason else "done"
        times = {"entered_at": entered, "ended_at": ended}
        self.add(Enrolment(client_id=self.client.id, **values, **times, state=state))

    def note(self, at: datetime, text: str = "Called") -> None:
        values = {"owner_id": self.client.owner_id, "client_id": self.client.id}
        self.add(ClientNote(**values, text=text, created_at=at))


# One event each, at the given time.
SINGLE_EVENTS: tuple[Callable[[History, datetime], object], ...] = (
    History.letter,
    History.purchase,
    History.bounce,
    lambda history, at: history.consent(at, "confirmed"),
    History.opt_out,
    lambda history, at: history.topic(at, is_joined=True),
    History.merge,
    History.sequence,
    History.note,
)
