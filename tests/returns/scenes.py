"""Create runs whose letters were sent, and mail servers' letters about them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.message_ids import RunIdentity, message_id_key
from skymailing.extensions import db
from skymailing.models import Bounce, Client, Delivery, ReturnedState, Suppression, User
from skymailing.returns import lmtp
from skymailing.returns.arrivals import Arrival
from skymailing.returns.services import ingest_letters
from skymailing.returns.tasks import ingest_batches
from skymailing.tokens import unsubscribe_token
from tests.returns.letters import make_complaint, make_status, quote_headers
from tests.support.factories import ClientFactory, DeliveryFactory, MailingFactory, RunFactory

USER_UNKNOWN = "550 5.1.1 user unknown"


@dataclass
class Desk:
    """Ingests letters, as if a mail server had piped them, and shows the consequences."""

    app: Flask
    session: Session
    user: User

    def send(self, client: Client | None = None, days_ago: int = 0) -> Delivery:
        """Record that a letter of a new run was sent to the client."""
        client = client or ClientFactory.create(owner=self.user)
        at = utcnow() - timedelta(days=days_ago)
        mailing = MailingFactory.create(owner=client.owner)
        run = RunFactory.create(mailing=mailing, planned=1, started_at=at)
        return DeliveryFactory.create(run=run, client=client, finished_at=at)

    def quote(self, delivery: Delivery) -> str:
        """Return the headers of the delivery's letter."""
        with self.app.app_context():
            identity = RunIdentity(delivery.run.uuid, message_id_key())
            owner_id = delivery.run.mailing.owner_id
            token = unsubscribe_token(owner_id, delivery.email_key)
        return quote_headers(
            identity.make_message_id(delivery.id, "sky.example"),
            f"<https://sky.example/u/{token}>",
            delivery.email,
        )

    def bounce(self, delivery: Delivery, diagnostic: str = USER_UNKNOWN, to: str = "") -> bytes:
        """Return a mail server's bounce of the delivery."""
        return make_status(to or delivery.email, "5.0.0", diagnostic, quoted=self.quote(delivery))

    def complain(self, delivery: Delivery, to: str = "") -> bytes:
        """Return a complaint about the delivery; by default, without its recipient."""
        return make_complaint(to, quoted=self.quote(delivery))

    def ingest(self, raw: bytes, now: datetime | None = None) -> ReturnedState:
        with self.app.app_context():
            [letter] = ingest_letters([Arrival.read(raw, "pipe")], now or utcnow())
            db.session.commit()
        self.session.expire_all()
        return letter.state

    def ingest_together(self, *letters: bytes) -> list[ReturnedState | None]:
        """Ingest letters as from a mailbox; return their states, with None for those that were not stored."""
        with self.app.app_context():
            stored = ingest_batches([Arrival.read(raw, "mailbox") for raw in letters], utcnow())
        self.session.expire_all()
        return [letter.state if letter else None for letter in stored]

    def suppressions(self) -> dict[str, str]:
        """Return the reason for each suppressed address."""
        rows = self.session.execute(select(Suppression.email_key, Suppression.reason)).tuples()
        return {key: reason.value for key, reason in rows}

    def bounces(self) -> list[tuple[str, str]]:
        """Return the kind and the proof of each bounce, oldest first."""
        return [
            (row.kind.value, row.proof.value)
            for row in self.session.scalars(select(Bounce).order_by(Bounce.id))
        ]


@contextmanager
def run_listener(store: lmtp.Store) -> Iterator[int]:
    """Run a listener; yield its port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(lmtp.listen("127.0.0.1", 0, store))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
