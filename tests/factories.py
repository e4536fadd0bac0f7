"""One factory per model: `ClientFactory.create(owner=user)`; what is not given is plausible."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import factory
from argon2 import PasswordHasher
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Article,
    Attempt,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Message,
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


def bind(session: Session) -> None:
    """Let all factories write through `session`."""
    _sessions[:] = [session]


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


class AttemptFactory(ModelFactory):
    class Meta:
        model = Attempt

    delivery = factory.SubFactory(DeliveryFactory)
    mailing_id = factory.LazyAttribute(lambda attempt: attempt.delivery.run.mailing_id)
    owner_id = factory.LazyAttribute(lambda attempt: attempt.delivery.run.mailing.owner_id)
    number = 1
    at = factory.LazyFunction(utcnow)
    outcome = Outcome.SENT
    code = 250
    answer = "2.0.0 queued"
    route = "default"


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
    run = RunFactory.create(mailing=mailing, planned=sum(counts.values()), **values)
    for state, count in counts.items():
        for _ in range(count):
            DeliveryFactory.create(run=run, state=state)
    return run


def due_mailing(owner: User, **values: Any) -> Mailing:
    """Create a mailing of `owner` that is to start now."""
    defaults = {"state": MailingState.SCHEDULED, "next_run_at": utcnow()}
    return MailingFactory.create(owner=owner, **defaults | values)
