"""One factory per model: `ClientFactory.create(owner=user)`; what is not given is plausible."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import factory
from argon2 import PasswordHasher
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
# Cheap on purpose; verifying reads the parameters from the hash.
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

_sessions: list[Session] = []
_apps: list[Flask] = []


def bind(session: Session, app: Flask) -> None:
    """Let all factories write through `session`, for the app's kind of database."""
    _sessions[:] = [session]
    _apps[:] = [app]


@contextmanager
def changes_of(run: Run) -> Iterator[Changes]:
    """Count what a factory adds to a run, as the engine counts what it does."""
    changes = Changes(RunKey(run.id, run.mailing_id, run.mailing.owner_id, run.started_at))
    yield changes
    with _apps[0].app_context():
        changes.write(_sessions[0].connection())


class ModelFactory(factory.alchemy.SQLAlchemyModelFactory):
    class Meta:
        abstract = True
        sqlalchemy_session_factory = lambda: _sessions[0]  # noqa: E731 - factory_boy's own way
        sqlalchemy_session_persistence = "flush"


class UserFactory(ModelFactory):
    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"owner{n}@example.com")
    name = factory.Sequence(lambda n: f"Владелец {n}")
    password_hash = PASSWORD_HASH
    timezone = "UTC"
    locale = "en"
    confirmed_at = factory.LazyFunction(utcnow)


class ClientFactory(ModelFactory):
    class Meta:
        model = Client

    owner = factory.SubFactory(UserFactory)
    email = factory.Sequence(lambda n: f"client{n}@example.org")
    email_key = factory.LazyAttribute(lambda client: client.email.lower())
    full_name = factory.Sequence(lambda n: f"Клиент {n}")


class MessageFactory(ModelFactory):
    class Meta:
        model = Message

    owner = factory.SubFactory(UserFactory)
    subject = "Привет, {{ name }}"
    format = MessageFormat.MARKDOWN
    body = "Здравствуйте, {{ name }}!\n\n[Отписаться]({{ unsubscribe_url }})"


class MessageDraftFactory(ModelFactory):
    """A letter that was begun and never saved."""

    class Meta:
        model = MessageDraft

    owner_id = factory.LazyFunction(lambda: UserFactory.create().id)
    subject = "Черновик"
    format = MessageFormat.MARKDOWN
    body = "Здравствуйте, {{ name }}!"
    saved_at = factory.LazyFunction(utcnow)


class MailingFactory(ModelFactory):
    """A draft to all clients whose window is open for a day."""

    class Meta:
        model = Mailing

    owner = factory.SubFactory(UserFactory)
    message = factory.LazyAttribute(lambda mailing: MessageFactory.create(owner=mailing.owner))
    name = factory.Sequence(lambda n: f"Рассылка {n}")
    starts_at = factory.LazyFunction(lambda: utcnow() - timedelta(minutes=1))
    ends_at = factory.LazyFunction(lambda: utcnow() + timedelta(days=1))
    state = MailingState.DRAFT


class RunFactory(ModelFactory):
    """A finished run without deliveries; `create_run` makes one whose ledger closes."""

    class Meta:
        model = Run

    mailing = factory.SubFactory(MailingFactory)
    scheduled_for = factory.LazyAttribute(lambda run: run.mailing.starts_at)
    started_at = factory.LazyAttribute(lambda run: run.scheduled_for)
    state = RunState.FINISHED
    subject = factory.LazyAttribute(lambda run: run.mailing.message.subject)
    format = factory.LazyAttribute(lambda run: run.mailing.message.format)
    body = factory.LazyAttribute(lambda run: run.mailing.message.body)
    sender_name = "Мастерская"
    reply_to = factory.LazyAttribute(lambda run: run.mailing.owner.email)

    @classmethod
    def _create(cls, model_class: type[Run], *args: Any, **values: Any) -> Run:
        run: Run = super()._create(model_class, *args, **values)
        with changes_of(run) as changes:
            changes.add("planned", run.planned, run.started_at)
        return run


class DeliveryFactory(ModelFactory):
    class Meta:
        model = Delivery
        exclude = ("client",)

    run = factory.SubFactory(RunFactory)
    client = factory.LazyAttribute(lambda delivery: ClientFactory.create(owner=delivery.run.mailing.owner))
    client_id = factory.LazyAttribute(lambda delivery: delivery.client.id)
    email = factory.LazyAttribute(lambda delivery: delivery.client.email)
    email_key = factory.LazyAttribute(lambda delivery: delivery.client.email_key)
    state = DeliveryState.SENT

    @classmethod
    def _create(cls, model_class: type[Delivery], *args: Any, **values: Any) -> Delivery:
        delivery: Delivery = super()._create(model_class, *args, **values)
        with changes_of(delivery.run) as changes:
            changes.move(delivery.state, 1, delivery.finished_at or delivery.run.started_at)
        return delivery


class AttemptFactory(ModelFactory):
    class Meta:
        model = Attempt

    delivery = factory.SubFactory(DeliveryFactory)
    run_id = factory.LazyAttribute(lambda attempt: attempt.delivery.run_id)
    mailing_id = factory.LazyAttribute(lambda attempt: attempt.delivery.run.mailing_id)
    owner_id = factory.LazyAttribute(lambda attempt: attempt.delivery.run.mailing.owner_id)
    number = 1
    at = factory.LazyFunction(utcnow)
    outcome = Outcome.SENT
    code = 250
    answer = "2.0.0 queued"
    route = "default"

    @classmethod
    def _create(cls, model_class: type[Attempt], *args: Any, **values: Any) -> Attempt:
        attempt: Attempt = super()._create(model_class, *args, **values)
        with changes_of(attempt.delivery.run) as changes:
            changes.add("attempts", 1, attempt.at)
            if attempt.outcome is not Outcome.SENT:
                told = attempt.outcome, attempt.code, attempt.answer
                changes.add_refusal(*told, attempt.delivery.email, attempt.at)
        return attempt


class SuppressionFactory(ModelFactory):
    class Meta:
        model = Suppression

    reason = SuppressionReason.UNSUBSCRIBED


class ArticleFactory(ModelFactory):
    class Meta:
        model = Article

    author = factory.SubFactory(UserFactory)
    slug = factory.Sequence(lambda n: f"article-{n}")
    title = factory.Sequence(lambda n: f"Статья {n}")
    body = "Текст **статьи**"
    published_at = factory.LazyFunction(lambda: utcnow() - timedelta(days=1))


def create_clients(owner: User, count: int, **values: Any) -> list[Client]:
    """Create `count` clients of `owner`."""
    return [ClientFactory.create(owner=owner, **values) for _ in range(count)]


def create_run(mailing: Mailing, counts: Mapping[DeliveryState, int], **values: Any) -> Run:
    """Create a run with so many deliveries in each state; planned is their sum."""
    run = RunFactory.create(**{"mailing": mailing, "planned": sum(counts.values())} | values)
    for state, count in counts.items():
        for _ in range(count):
            DeliveryFactory.create(run=run, state=state)
    return run


def due_mailing(owner: User, **values: Any) -> Mailing:
    """Create a mailing of `owner` that is to start now."""
    defaults = {"state": MailingState.SCHEDULED, "next_run_at": utcnow()}
    return MailingFactory.create(owner=owner, **defaults | values)
