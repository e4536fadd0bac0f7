"""Add the example data to the database, once."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select

from skymailing.delivery.ledger.reconciliation import recount
from skymailing.delivery.ledger.run_counts import run_keys
from skymailing.delivery.rendering.languages import guess_language
from skymailing.demo.articles import add_articles
from skymailing.demo.history import History
from skymailing.demo.people import SIGNED_UP, add_origins, make_clients
from skymailing.demo.reactions import add_reactions
from skymailing.demo.sequences import add_sequence
from skymailing.demo.texts import MESSAGES
from skymailing.demo.variants import add_test
from skymailing.demo.webhooks import add_webhook
from skymailing.extensions import db
from skymailing.models import (
    Audience,
    Client,
    DeliveryState,
    FormDay,
    Mailing,
    MailingState,
    Message,
    OnUnknown,
    Periodicity,
    Role,
    RunState,
    Segment,
    SignupForm,
    StateReason,
    SuppressionReason,
    User,
    mailing_clients,
)
from skymailing.security import hash_password

OWNER = "demo@example.com"
# A fixed seed, so that every installation gets the same people and letters.
SEED = 20261122
ZONE = "Europe/Moscow"
AGE = timedelta(days=400)  # of the accounts: older than everything in them


@dataclass(frozen=True)
class Login:
    """A demo account with its role and password."""

    email: str
    role: Role
    name: str
    password: str


def list_logins(secret_key: str) -> list[Login]:
    """Return the accounts, whose passwords are derived from the installation's secret key."""
    accounts = (
        (OWNER, Role.USER, "Глина и свет"),
        ("manager@example.com", Role.MANAGER, "Борис Порядков"),
        ("editor@example.com", Role.CONTENT, "Ada Writer"),
    )
    return [Login(email, role, name, _derive_password(secret_key, email)) for email, role, name in accounts]


def _derive_password(secret_key: str, email: str) -> str:
    digest = hmac.digest(secret_key.encode(), f"demo:{email}".encode(), hashlib.sha256)
    return "demo-" + base64.b32encode(digest).decode()[:12].lower()


def fill(logins: Sequence[Login], hashes: Sequence[str], now: datetime) -> bool:
    """Add the example unless it exists; return whether it was added. Flushes but does not commit."""
    users = {
        user.email: user
        for user in db.session.scalars(select(User).where(User.email.in_([login.email for login in logins])))
    }
    if OWNER in users:
        return False
    for login, password_hash in zip(logins, hashes, strict=True):
        users.setdefault(
            login.email,
            User(
                email=login.email,
                password_hash=password_hash,
                role=login.role,
                name=login.name,
                timezone=ZONE,
                confirmed_at=now - AGE,
                created_at=now - AGE,
            ),
        )
    db.session.add_all(users.values())
    db.session.flush()
    add_articles(users["editor@example.com"], now)
    _Example(users[OWNER], now).add()
    return True


def hash_passwords(logins: Sequence[Login]) -> list[str]:
    """Return the password hashes. Call this outside a transaction, because it is slow."""
    return [hash_password(login.password) for login in logins]


class _Example:
    """The owner's clients, messages and mailings around the time `now`."""

    def __init__(self, owner: User, now: datetime) -> None:
        self.owner = owner
        self.random = Random(SEED)  # noqa: S311 - an example, not a secret
        # Whole minutes, like times chosen by a person.
        self.now = now.replace(second=0, microsecond=0)
        self.history = History(owner, self.random)

    def add(self) -> None:
        self.owner.attribute_types = {"city": "text", "language": "text", "bonus": "number"}
        self.clients = make_clients(self.owner, self.random)
        db.session.add_all(self.clients)
        self.messages = {
            text.key: Message(
                owner=self.owner,
                subject=text.subject,
                format=text.format,
                body=text.body,
                language=guess_language(text.subject + text.body),
            )
            for text in MESSAGES
        }
        db.session.add_all(self.messages.values())
        db.session.flush()
        self._add_segment()
        form = self._add_form()
        add_origins(self.clients, form, self.now)
        add_webhook(self.owner, self.now)
        self.english = [client for client in self.clients if client.attributes["language"] == "en"]
        self._add_past()
        add_sequence(self.history, form, self.clients[-SIGNED_UP:], self.now)
        self._add_present()
        self._add_future()
        self._store_history()
        add_test(self.tested, "Осень пришла: новые цвета", self.random)
        add_reactions(self.owner, self.history.runs, self.now)

    def _store_history(self) -> None:
        history = self.history
        # Lists show the latest IDs first.
        history.runs.sort(key=lambda run: run.started_at)
        db.session.add_all(history.runs)
        db.session.add_all(history.deliveries)
        db.session.add_all(history.suppressions.values())
        db.session.flush()
        # The log sorts attempts by ID, so add them in chronological order.
        history.attempts.sort(key=lambda attempt: attempt.at)
        for attempt in history.attempts:
            attempt.run_id = attempt.delivery.run_id
        db.session.add_all(history.attempts)
        db.session.flush()
        connection = db.session.connection()
        for run in run_keys(connection, [run.id for run in history.runs]):
            recount(connection, run)
        history.count_usage(connection, self.now)

    def _add_segment(self) -> None:
        in_english = {"field": "attribute.language", "op": "equals", "value": "en"}
        has_bonus = {"field": "attribute.bonus", "op": "is_set"}
        conditions = {"all": [in_english, has_bonus]}
        db.session.add(
            Segment(owner_id=self.owner.id, name="English speakers with a bonus", conditions=conditions)
        )

    def _add_form(self) -> SignupForm:
        form = SignupForm(
            owner_id=self.owner.id,
            name="Сайт, подвал",
            language="ru",
            title="Новости мастерской",
            introduction="Новые коллекции и места на мастер-классах — не чаще двух писем в месяц.",
            consent_text="Нажимая кнопку, я соглашаюсь получать письма мастерской. Отписаться можно всегда.",
            fields=[{"key": "full_name", "label": "Имя", "is_required": False}],
            created_at=self.now - timedelta(days=60),
        )
        db.session.add(form)
        db.session.flush()
        for days in range(40):
            requested = self.random.randint(0, 6)
            day = (self.now - timedelta(days=days)).date()
            counts = {"requested": requested, "confirmed": requested * 3 // 4}
            db.session.add(FormDay(form_id=form.id, day=day, **counts))
        return form

    def _add_past(self) -> None:
        for client in self.random.sample(self.clients[:-SIGNED_UP], 4):
            self.history.suppress(client, SuppressionReason.UNSUBSCRIBED, self.now - timedelta(days=45))
        start = self._make_time(days=-40, hour=10)
        autumn = self._add_mailing("Осенняя коллекция", "autumn", start, start + timedelta(days=2))
        autumn.state = MailingState.FINISHED
        shares = {DeliveryState.FAILED: 7, DeliveryState.UNKNOWN: 2, DeliveryState.EXPIRED: 3}
        self.tested = self.history.add_run(autumn, self.clients, start, RunState.FINISHED, shares)

        start = self._make_time(days=-24, hour=9)
        digest = self._add_mailing(
            "Weekly digest", "digest", start, start + timedelta(days=365), self.english, Periodicity.WEEKLY
        )
        for week in range(4):
            at = start + timedelta(weeks=week)
            self.history.add_run(
                digest, self.english, at, RunState.FINISHED, {DeliveryState.FAILED: 1 if week % 2 else 0}
            )
        digest.state = MailingState.SCHEDULED
        digest.next_run_at = start + timedelta(weeks=4)

        start = self._make_time(days=-12, hour=18)
        closed = self._add_mailing("Закрыто в понедельник", "hours", start, start + timedelta(hours=12))
        closed.state = MailingState.CANCELLED
        self.history.add_run(closed, self.clients, start, RunState.CANCELLED, {DeliveryState.CANCELLED: 120})

        start = self._make_time(days=-6, hour=11)
        late = self._add_mailing(
            "How is your mug?", "review", start, start + timedelta(hours=1), self.english[:20]
        )
        late.state, late.state_reason = MailingState.FINISHED, StateReason.WINDOW_OVER

    def _add_present(self) -> None:
        start = self.now - timedelta(minutes=50)
        course = self._add_mailing("Вечерний курс", "course", start, start + timedelta(days=2))
        course.state = MailingState.RUNNING
        # Deferred letters are due in a few hours, so that the example does not change until then.
        shares = {DeliveryState.DEFERRED: 23, DeliveryState.FAILED: 4, DeliveryState.UNKNOWN: 1}
        self.history.add_run(course, self.clients, start, RunState.SENDING, shares)

        start = self.now - timedelta(minutes=80)
        fair = self._add_mailing("Winter fair", "sale", start, start + timedelta(days=5), self.english)
        fair.state = MailingState.PAUSED
        pending = len(self.english) // 2
        self.history.add_run(fair, self.english, start, RunState.SENDING, {DeliveryState.PENDING: pending})

    def _add_future(self) -> None:
        start = self._make_time(days=3, hour=12)
        fair = self._add_mailing("Зимняя ярмарка", "sale", start, start + timedelta(days=3))
        start = self._make_time(days=1, hour=9)
        end = start + timedelta(days=14)
        some = self.english[20:32]
        daily = self._add_mailing("Daily reminder", "review", start, end, some, Periodicity.DAILY)
        for mailing in (fair, daily):
            mailing.state, mailing.next_run_at = MailingState.SCHEDULED, mailing.starts_at
        start = self._make_time(days=20, hour=10)
        self._add_mailing("Новогоднее поздравление (черновик)", "autumn", start, start + timedelta(days=1))

    def _add_mailing(
        self,
        name: str,
        message: str,
        starts_at: datetime,
        ends_at: datetime,
        audience: Sequence[Client] | None = None,
        periodicity: Periodicity = Periodicity.ONCE,
    ) -> Mailing:
        mailing = Mailing(
            owner=self.owner,
            name=name,
            message=self.messages[message],
            sender_name="Мастерская «Глина и свет»",
            audience=Audience.SELECTED if audience else Audience.ALL,
            starts_at=starts_at,
            ends_at=ends_at,
            periodicity=periodicity,
            on_unknown=OnUnknown.HOLD,
            state=MailingState.DRAFT,
            created_at=min(self.now, starts_at) - timedelta(hours=3),
        )
        db.session.add(mailing)
        db.session.flush()
        if audience:
            rows = [{"mailing_id": mailing.id, "client_id": client.id} for client in audience]
            db.session.execute(insert(mailing_clients), rows)
        return mailing

    def _make_time(self, *, days: int, hour: int) -> datetime:
        """Return the time `days` from today at `hour` in the owner's time zone."""
        zone = ZoneInfo(self.owner.timezone)
        day = (self.now.astimezone(zone) + timedelta(days=days)).date()
        return datetime(day.year, day.month, day.day, hour, tzinfo=zone)
