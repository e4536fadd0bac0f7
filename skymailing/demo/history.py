"""Create past and current runs with balanced ledgers, and the attempts behind them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import Connection

from skymailing.delivery.audience.parts import read_parts
from skymailing.delivery.audience.recipients import describe_audience
from skymailing.delivery.journal import NO_REPLY
from skymailing.models import (
    OPEN_DELIVERY_STATES,
    Attempt,
    Client,
    Delivery,
    DeliveryState,
    Mailing,
    Outcome,
    Run,
    RunState,
    Suppression,
    SuppressionReason,
    UsageKind,
    User,
)
from skymailing.quotas import counting as usage
from skymailing.quotas.counting import SHOWN_RETENTION, hour_of

ROUTE = "default"
SECONDS_PER_LETTER = 0.4

GREYLISTED = (450, "4.2.0 Greylisted, please try again in 5 minutes")
BUSY_REPLY = (451, "4.3.0 The mail system is busy, try again later")
REFUSALS = (
    (550, "5.1.1 No such user here"),
    (550, "5.1.1 Recipient address rejected: user unknown"),
    (552, "5.2.2 The mailbox is full"),
    (554, "5.7.1 Message refused by the recipient's policy"),
)
LOST_CONNECTION = (None, NO_REPLY)

Try = tuple[Outcome, tuple[int | None, str]]  # an attempt's outcome, with the reply's code and text


@dataclass
class History:
    """Runs created in chronological order, so that later ones respect earlier suppressions."""

    owner: User
    random: Random
    runs: list[Run] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    suppressions: dict[str, Suppression] = field(default_factory=dict)

    def suppress(self, client: Client, reason: SuppressionReason, at: datetime, note: str = "") -> None:
        """Suppress an address in all later runs."""
        self.suppressions.setdefault(
            client.email_key,
            Suppression(
                owner_id=self.owner.id, email_key=client.email_key, reason=reason, note=note, created_at=at
            ),
        )

    def add_run(
        self,
        mailing: Mailing,
        audience: Sequence[Client],
        at: datetime,
        state: RunState,
        shares: Mapping[DeliveryState, int],
    ) -> Run:
        """Create a run with the given number of deliveries per state; all other deliveries were sent.

        Clients who were added later are not included.
        """
        audience = [client for client in audience if client.created_at <= at]
        run = Run(
            mailing_id=mailing.id,
            scheduled_for=at,
            started_at=at,
            state=state,
            planned=len(audience),
            subject=mailing.message.subject,
            format=mailing.message.format,
            body=mailing.message.body,
            language=mailing.message.language,
            audience=describe_audience(mailing, read_parts(mailing)),
            sender_name=mailing.sender_name,
            reply_to=self.owner.email,
        )
        latest = self._add_deliveries(run, audience, at, shares)
        run.finished_at = latest if state in (RunState.FINISHED, RunState.CANCELLED) else None
        self.runs.append(run)
        return run

    def _add_deliveries(
        self, run: Run, audience: Sequence[Client], at: datetime, shares: Mapping[DeliveryState, int]
    ) -> datetime:
        """Create a delivery for each client; return when the last one ended."""
        suppressed_keys = set(self.suppressions)
        reachable = [client for client in audience if client.email_key not in suppressed_keys]
        states = [state for state, count in shares.items() for _ in range(count)]
        chosen = dict(zip(self.random.sample(reachable, len(states)), states, strict=True))
        latest = at
        for number, client in enumerate(audience):
            tried_at = at + timedelta(seconds=1 + number * SECONDS_PER_LETTER)
            outcome = (
                DeliveryState.SUPPRESSED
                if client.email_key in suppressed_keys
                else chosen.get(client, DeliveryState.SENT)
            )
            delivery = self._add_delivery(run, client, outcome, tried_at)
            latest = max(latest, delivery.finished_at or at)
        return latest

    def count_usage(self, connection: Connection, now: datetime) -> None:
        """Count the letters, what servers accepted and addresses that do not exist, while counts are kept."""
        counts: Counter[tuple[UsageKind, datetime]] = Counter()
        for attempt in self.attempts:
            is_missing = attempt.outcome is Outcome.FAILED and attempt.answer.startswith("5.1.1")
            if attempt.at > now - SHOWN_RETENTION:
                counts[UsageKind.LETTERS, hour_of(attempt.at)] += attempt.number == 1
                counts[UsageKind.BOUNCES, hour_of(attempt.at)] += is_missing
                counts[UsageKind.ACCEPTED, hour_of(attempt.at)] += attempt.outcome is Outcome.SENT
        for (kind, hour), count in counts.items():
            if count:
                usage.add(connection, self.owner.id, kind, count, hour)

    def _add_delivery(self, run: Run, client: Client, state: DeliveryState, at: datetime) -> Delivery:
        delivery = Delivery(
            run=run, client_id=client.id, email=client.email, email_key=client.email_key, state=state
        )
        self.deliveries.append(delivery)
        times = self._add_attempts(delivery, run.mailing_id, client, at)
        delivery.attempts = len(times)
        # An unknown delivery is not finished until its owner has decided.
        if state not in (*OPEN_DELIVERY_STATES, DeliveryState.UNKNOWN):
            delivery.finished_at = times[-1] if times else at
        return delivery

    def _add_attempts(
        self, delivery: Delivery, mailing_id: int, client: Client, at: datetime
    ) -> list[datetime]:
        """Add the attempts that lead to the delivery's state; return their times."""
        outcomes = self._choose_outcomes(delivery, client, at)
        pause = timedelta(minutes=30 if delivery.state is DeliveryState.UNKNOWN else 5)
        times = [at + pause * number for number in range(len(outcomes))]
        for number, (tried_at, (outcome, (code, answer))) in enumerate(zip(times, outcomes, strict=True), 1):
            self.attempts.append(
                Attempt(
                    delivery=delivery,
                    mailing_id=mailing_id,
                    owner_id=self.owner.id,
                    number=number,
                    at=tried_at,
                    outcome=outcome,
                    code=code,
                    answer=answer,
                    route=ROUTE,
                )
            )
        return times

    def _choose_outcomes(self, delivery: Delivery, client: Client, at: datetime) -> list[Try]:
        """Return the outcomes and replies that lead to the delivery's state."""
        outcomes: list[Try] = []
        match delivery.state:
            case DeliveryState.SENT:
                if self.random.random() < 0.06:
                    outcomes.append((Outcome.DEFERRED, GREYLISTED))
                queued = f"2.0.0 Ok: queued as {self.random.getrandbits(40):010X}"
                outcomes.append((Outcome.SENT, (250, queued)))
            case DeliveryState.FAILED:
                refusal = self.random.choice(REFUSALS)
                outcomes.append((Outcome.FAILED, refusal))
                if refusal[1].startswith("5.1.1"):
                    self.suppress(client, SuppressionReason.BOUNCED, at, f"{refusal[0]} {refusal[1]}")
            case DeliveryState.UNKNOWN:
                # The letter was sent again after half an hour, with an unknown outcome again.
                outcomes += [(Outcome.UNKNOWN, LOST_CONNECTION), (Outcome.UNKNOWN, LOST_CONNECTION)]
                delivery.unknowns = 2
            case DeliveryState.DEFERRED:
                outcomes.append((Outcome.DEFERRED, BUSY_REPLY))
                delivery.due_at = at + timedelta(hours=self.random.uniform(2, 5))
            case DeliveryState.EXPIRED:
                outcomes += [(Outcome.DEFERRED, BUSY_REPLY)] * 2
            case _:
                pass
        return outcomes
