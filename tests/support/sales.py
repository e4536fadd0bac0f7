"""Create letters, clicks at a given time, and purchases."""

from datetime import datetime
from typing import Any

from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from sqlalchemy.orm import object_session

from skymailing.clock import utcnow
from skymailing.models import Click, Client, Delivery, Engagement, MailingKind, Purchase
from tests.support.factories import ClientFactory, DeliveryFactory, ModelFactory


class PurchaseFactory(ModelFactory[Purchase]):
    """A purchase that is not credited to a mailing."""

    class Meta:
        model = Purchase
        exclude = ("client", "delivery")

    client = SubFactory(ClientFactory)
    delivery = None  # the letter to which it is credited
    owner_id = LazyAttribute(lambda purchase: purchase.client.owner_id)
    client_id = LazyAttribute(lambda purchase: purchase.client.id)
    run_id = LazyAttribute(lambda purchase: purchase.delivery and purchase.delivery.run_id)
    mailing_id = LazyAttribute(lambda purchase: purchase.delivery and purchase.delivery.run.mailing_id)
    order_number = Sequence(lambda n: f"A-{n}")
    amount = 149990
    currency = "RUB"
    purchased_at = LazyFunction(lambda: utcnow().replace(microsecond=0))


def send_letter(client: Client, kind: MailingKind = MailingKind.MAILING, **run: Any) -> Delivery:
    """Return a letter that the client received."""
    values = {f"run__{name}": value for name, value in run.items()}
    delivery: Delivery = DeliveryFactory.create(
        client=client, run__mailing__owner=client.owner, run__mailing__kind=kind, **values
    )
    return delivery


def click(delivery: Delivery, at: datetime, *, number: int = 1, **values: Any) -> None:
    """Store a click on a letter's link, by a person unless `values` say otherwise."""
    session = object_session(delivery)
    assert session is not None
    milliseconds = int(at.timestamp() * 1000)
    key = {"delivery_id": delivery.id, "run_id": delivery.run_id}
    link = {"first_at": milliseconds, "last_at": milliseconds, "was_person": True, "clicks": 1} | values
    session.add(Click(**key, number=number, **link))
    if session.get(Engagement, delivery.id) is None:
        counts = {"clicks": link["clicks"], "first_click_at": milliseconds if link["clicks"] else None}
        session.add(Engagement(**key, mailing_id=delivery.run.mailing_id, **counts))
    session.flush()
