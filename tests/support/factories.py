"""Provide one factory per model, as in `ClientFactory.create(owner=user)`.

Values that are not given have plausible defaults.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

from argon2 import PasswordHasher
from factory.alchemy import SQLAlchemyModelFactory
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger.statistics import Changes, RunKey
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
    Suppression,
    SuppressionReason,
    User,
)

PASSWORD = "correct horse battery"
# Deliberately cheap; verification takes the parameters from the hash.
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
    """Add a factory's rows to a run's statistics, as the engine does."""
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
    def _create(cls, model_class: type[T], *args: Any, **values: Any) -> T:
        created: T = super()._create(model_class, *args, **values)  # type: ignore[no-untyped-call]  # factory_boy's
        cls.count(created)
        return created

    @classmethod
    def count(cls, created: T) -> None:
        """Add the new row to the statistics of its run, if the engine would."""


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
    def count(cls, created: Run) -> None:
        with count_changes(created) as changes:
            changes.add("planned", created.planned, created.started_at)


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
    def count(cls, created: Delivery) -> None:
        with count_changes(created.run) as changes:
            changes.move(created.state, 1, created.finished_at or created.run.started_at)


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
    def count(cls, created: Attempt) -> None:
        with count_changes(created.delivery.run) as changes:
            changes.add("attempts", 1, created.at)
            if created.outcome is not Outcome.SENT:
                reply = created.outcome, created.code, created.answer
                changes.add_refusal(*reply, created.delivery.email, created.at)


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
    return [ClientFactory.create(owner=owner, **values) for _ in range(count)]


def create_run(mailing: Mailing, counts: Mapping[DeliveryState, int], **values: Any) -> Run:
    """Create a run with these numbers of deliveries by state; `planned` is their sum."""
    run = RunFactory.create(**{"mailing": mailing, "planned": sum(counts.values())} | values)
    for state, count in counts.items():
        for _ in range(count):
            DeliveryFactory.create(run=run, state=state)
    return run


def due_mailing(owner: User, **values: Any) -> Mailing:
    """Create a mailing for `owner` that is due now."""
    defaults = {"state": MailingState.SCHEDULED, "next_run_at": utcnow()}
    return MailingFactory.create(owner=owner, **defaults | values)
