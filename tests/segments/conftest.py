"""Provide a shop with clients whose data segments can query."""

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Client, DeliveryState, Suppression, SuppressionReason, Tag, User, client_tags
from tests.support.factories import ClientFactory, DeliveryFactory, MailingFactory, RunFactory
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory


def add_clients(user: User) -> dict[str, Client]:
    today = utcnow().date()
    people = (
        ("anna", "Omsk", 10, 7, "yes", (today + timedelta(days=5)).replace(year=1980)),
        ("boris", "Tomsk", 20, 1, "no", today - timedelta(days=100)),
        ("clara", "omsk", 200, 3, "yes", today - timedelta(days=200)),
        ("dmitri", "Tver", 400, 0, "", today - timedelta(days=150)),
    )
    return {
        name: ClientFactory.create(
            owner=user,
            email=f"{name}@{'shop' if name == 'dmitri' else 'example'}.org",
            full_name=name.title(),
            comment="met at the fair" if name == "anna" else "",
            attributes={
                "city": city,
                "last_purchase": (today - timedelta(days=days)).isoformat(),
                "birthday": birthday.isoformat(),
                "orders": str(orders),
                "loyalty_card": card,
            },
        )
        for name, city, days, orders, card, birthday in people
    }


@pytest.fixture
def shop(session: Session, user: User) -> dict[str, Client]:
    """Create four clients: Anna got the spring sale, Boris has a tag and left a topic, Clara unsubscribed."""
    user.attribute_types = {
        "city": "text",
        "last_purchase": "date",
        "birthday": "date",
        "orders": "number",
        "loyalty_card": "yes_no",
    }
    clients = add_clients(user)
    tag = Tag(owner_id=user.id, name="Wholesale", name_key="wholesale")
    suppression = Suppression(
        owner_id=user.id, email_key=clients["clara"].email_key, reason=SuppressionReason.UNSUBSCRIBED
    )
    session.add_all([tag, suppression])
    session.flush()
    session.execute(insert(client_tags).values(tag_id=tag.id, client_id=clients["boris"].id))
    offers = TopicFactory.create(owner=user, name="Offers")
    TopicChoiceFactory.create(topic=offers, email_key=clients["boris"].email_key)
    mailing = MailingFactory.create(owner=user, name="Spring sale")
    run = RunFactory.create(mailing=mailing, planned=1)
    DeliveryFactory.create(run=run, client=clients["anna"], state=DeliveryState.SENT)
    return clients
