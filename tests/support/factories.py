"""Provide a factory for each model, for example `ClientFactory.create(owner=user)`.

Values that are not given have plausible defaults.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from typing import Any, Generic, TypeVar

from argon2 import PasswordHasher
from factory.alchemy import SQLAlchemyModelFactory
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger.run_counts import Changes, RunKey
from skymailing.models import (
    Article,
    Attempt,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Message,
    MessageDraft,
    MessageFormat,
    Outcome,
    Run,
    RunState,
    RunVariant,
    Suppression,
    SuppressionReason,
    User,
)

PASSWORD = "correct horse battery"
# Deliberately cheap; verification reads the parameters from the hash.
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

T = TypeVar("T")

_sessions: list[Session] = []
_apps: list[Flask] = []


def bind(session: Session, app: Flask) -> None:
    """Make all factories write through `session`, with the database of `app`."""
    _sessions[:] = [session]
    _apps[:] = [app]


@contextmanager
def count_changes(run: Run) -> Iterator[Changes]:
    """Add a factory's rows to a run's counts, as the engine does."""
    changes = Changes(RunKey(run.id, run.mailing_id, run.mailing.owner_id, run.started_at))
    yield changes
    with _apps[0].app_context():
        changes.write(_sessions[0].connection())


class ModelFactory(SQLAlchemyModelFactory, Generic[T]):
    """The base class of all factories; writes through the test's session."""

    class Meta:
        abstract = True
        sqlalchemy_session_factory = lambda: _sessions[0]  # noqa: E731 - factory_boy's own way
        sqlalchemy_session_persistence = "flush"

    @classmethod
    def create(cls, **values: Any) -> T:
        """Create an object with these values, and defaults for the others."""
        created: T = super().create(**values)
        return created

    @classmethod
    def create_many(cls, count: int, **values: Any) -> list[T]:
        """Create `count` objects with one INSERT; their SubFactories must be given in `values`."""
        return cls.insert([cls.build(**values) for _ in range(count)])

    @classmethod
    def insert(cls, built: list[T]) -> list[T]:
        """Insert objects from `build` in one transaction, because each transaction takes milliseconds."""
        _sessions[0].add_all(built)
        _sessions[0].flush()
        cls.count(built)
        return built

    @classmethod
    def _create(cls, model_class: type[T], *args: Any, **values: Any) -> T:
        created: T = super()._create(model_class, *args, **values)  # type: ignore[no-untyped-call]  # factory_boy's
        cls.count([created])
        return created

    @classmethod
    def count(cls, created: list[T]) -> None:
        """Add new rows to the counts of their runs, as the engine would."""


class UserFactory(ModelFactory[User]):
    class Meta:
        model = User

    email = Sequence(lambda n: f"owner{n}@example.com")
    name = Sequence(lambda n: f"Владелец {n}")
    password_hash = PASSWORD_HASH
    timezone = "UTC"
    locale = "en"
    confirmed_at = LazyFunction(utcnow)
    trusted_at = LazyFunction(utcnow)


class ClientFactory(ModelFactory[Client]):
    class Meta:
        model = Client

    owner = SubFactory(UserFactory)
    email = Sequence(lambda n: f"client{n}@example.org")
    email_key = LazyAttribute(lambda client: client.email.lower())
    full_name = Sequence(lambda n: f"Клиент {n}")


class MessageFactory(ModelFactory[Message]):
    class Meta:
        model = Message

    owner = SubFactory(UserFactory)
    subject = "Привет, {{ name }}"
    format = MessageFormat.MARKDOWN
    body = "Здравствуйте, {{ name }}!\n\n[Отписаться]({{ unsubscribe_url }})"


class MessageDraftFactory(ModelFactory[MessageDraft]):
    """A draft of a message that has not been saved."""

    class Meta:
        model = MessageDraft

    owner_id = LazyFunction(lambda: UserFactory.create().id)
    subject = "Черновик"
    format = MessageFormat.MARKDOWN
    body = "Здравствуйте, {{ name }}!"
    saved_at = LazyFunction(utcnow)


class MailingFactory(ModelFactory[Mailing]):
    """A draft mailing to all clients; its window ends in a day."""

    class Meta:
        model = Mailing

    owner = SubFactory(UserFactory)
    message = LazyAttribute(lambda mailing: MessageFactory.create(owner=mailing.owner))
    name = Sequence(lambda n: f"Рассылка {n}")
    starts_at = LazyFunction(lambda: utcnow() - timedelta(minutes=1))
    ends_at = LazyFunction(lambda: utcnow() + timedelta(days=1))
    state = MailingState.DRAFT


class RunFactory(ModelFactory[Run]):
    """A finished run without deliveries; `create_run` creates one whose ledger balances."""

    class Meta:
        model = Run

    mailing = SubFactory(MailingFactory)
    scheduled_for = LazyAttribute(lambda run: run.mailing.starts_at)
    started_at = LazyAttribute(lambda run: run.scheduled_for)
    state = RunState.FINISHED
    subject = LazyAttribute(lambda run: run.mailing.message.subject)
    format = LazyAttribute(lambda run: run.mailing.message.format)
    body = LazyAttribute(lambda run: run.mailing.message.body)
    sender_name = "Мастерская"
    reply_to = LazyAttribute(lambda run: run.mailing.owner.email)

    @classmethod
    def count(cls, created: list[Run]) -> None:
        for run in created:
            with count_changes(run) as changes:
                changes.add("planned", run.planned, run.started_at)


class RunVariantFactory(ModelFactory[RunVariant]):
    """A variant of a run's test, with the content of the run."""

    class Meta:
        model = RunVariant
        exclude = ("run",)

    run = SubFactory(RunFactory)
    run_id = LazyAttribute(lambda variant: variant.run.id)
    number = 1
    subject = LazyAttribute(lambda variant: variant.run.subject)
    sender_name = LazyAttribute(lambda variant: variant.run.sender_name)
    format = LazyAttribute(lambda variant: variant.run.format)
    body = LazyAttribute(lambda variant: variant.run.body)


class DeliveryFactory(ModelFactory[Delivery]):
    class Meta:
        model = Delivery
        exclude = ("client",)

    run = SubFactory(RunFactory)
    client = LazyAttribute(lambda delivery: ClientFactory.create(owner=delivery.run.mailing.owner))
    client_id = LazyAttribute(lambda delivery: delivery.client.id)
    email = LazyAttribute(lambda delivery: delivery.client.email)
    email_key = LazyAttribute(lambda delivery: delivery.client.email_key)
    state = DeliveryState.SENT

    @classmethod
    def count(cls, created: list[Delivery]) -> None:
        for run, deliveries in groupby(created, lambda delivery: delivery.run):
            with count_changes(run) as changes:
                for delivery in deliveries:
                    changes.move(delivery.state, 1, delivery.finished_at or run.started_at)


class AttemptFactory(ModelFactory[Attempt]):
    class Meta:
        model = Attempt

    delivery = SubFactory(DeliveryFactory)
    run_id = LazyAttribute(lambda attempt: attempt.delivery.run_id)
    mailing_id = LazyAttribute(lambda attempt: attempt.delivery.run.mailing_id)
    owner_id = LazyAttribute(lambda attempt: attempt.delivery.run.mailing.owner_id)
    number = 1
    at = LazyFunction(utcnow)
    outcome = Outcome.SENT
    code = 250
    answer = "2.0.0 queued"
    route = "default"

    @classmethod
    def count(cls, created: list[Attempt]) -> None:
        for run, attempts in groupby(created, lambda attempt: attempt.delivery.run):
            with count_changes(run) as changes:
                for attempt in attempts:
                    changes.add("attempts", 1, attempt.at)
                    if attempt.outcome is not Outcome.SENT:
                        reply = attempt.outcome, attempt.code, attempt.answer
                        changes.add_refusal(*reply, attempt.delivery.email, attempt.at)


class SuppressionFactory(ModelFactory[Suppression]):
    class Meta:
        model = Suppression

    reason = SuppressionReason.UNSUBSCRIBED


class ArticleFactory(ModelFactory[Article]):
    class Meta:
        model = Article

    author = SubFactory(UserFactory)
    slug = Sequence(lambda n: f"article-{n}")
    title = Sequence(lambda n: f"Статья {n}")
    body = "Текст **статьи**"
    published_at = LazyFunction(lambda: utcnow() - timedelta(days=1))


def create_clients(owner: User, count: int, **values: Any) -> list[Client]:
    """Create `count` clients for `owner`."""
    return ClientFactory.create_many(count, owner=owner, **values)


def create_run(mailing: Mailing, counts: Mapping[DeliveryState, int], **values: Any) -> Run:
    """Create a run with these numbers of deliveries by state; `planned` is their sum."""
    run = RunFactory.create(**{"mailing": mailing, "planned": sum(counts.values())} | values)
    states = [state for state, count in counts.items() for _ in range(count)]
    clients = create_clients(mailing.owner, len(states))
    DeliveryFactory.insert(
        [
            DeliveryFactory.build(run=run, client=client, state=state)
            for client, state in zip(clients, states, strict=True)
        ]
    )
    return run


def create_tested_run(mailing: Mailing, counts: Mapping[DeliveryState, int], **values: Any) -> Run:
    """Create a run with the variants A and B, whose winner its owner chooses; the sample is empty."""
    ends_at = utcnow() + timedelta(hours=4)
    test = {"state": RunState.TESTED, "test_ends_at": ends_at, "test_hours": 4, "winner_by": "owner"}
    run = create_run(mailing, counts, **test | values)
    for number in (1, 2):
        RunVariantFactory.create(run=run, number=number)
    return run


def due_mailing(owner: User, **values: Any) -> Mailing:
    """Create a mailing for `owner` that is due now."""
    defaults = {"state": MailingState.SCHEDULED, "next_run_at": utcnow()}
    return MailingFactory.create(owner=owner, **defaults | values)
