"""Add reactions to letters: clicks in the weekly digest, purchases after clicks, and the owner's notes."""

from datetime import datetime, timedelta
from random import Random

from sqlalchemy import select

from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.extensions import db
from skymailing.models import (
    Click,
    Client,
    ClientNote,
    Delivery,
    DeliveryState,
    Engagement,
    Periodicity,
    Purchase,
    Run,
    RunLink,
    User,
)
from skymailing.purchases.services import NewPurchase, add_purchase

SEED = 9
CLICK_RATE, PURCHASE_RATE = 0.85, 0.4  # CLICK_RATE applies only to the clients who ever click
NOTES = (
    "Wants a second cup in the same glaze.",
    "Просит доставку после шести.",
    "Asked about the Sunday course.",
)
AMOUNTS = (980, 1200, 1650, 2400, 3900)  # roubles


def add_reactions(owner: User, runs: list[Run], now: datetime) -> None:
    """Add clicks of some clients in the digests, and purchases after some of the clicks."""
    # A separate generator, so that changes here do not affect the rest of the example.
    random = Random(SEED)  # noqa: S311 - an example, not a secret
    for run in runs:
        if run.mailing.periodicity is Periodicity.WEEKLY:
            _add_clicks(run, random)
    db.session.flush()
    _add_purchases(owner, random, now)
    _add_notes(owner, now)


def _add_clicks(run: Run, random: Random) -> None:
    run.track_clicks = run.mailing.track_clicks = True
    (key,) = run_keys(db.session.connection(), [run.id])
    changes = Changes(key, is_shared=True)
    sent = select(Delivery).where(Delivery.run_id == run.id, Delivery.state == DeliveryState.SENT)
    for delivery in db.session.scalars(sent.order_by(Delivery.id)):
        # The same clients click in every digest.
        if (delivery.client_id or 0) % 3 or random.random() > CLICK_RATE:
            continue
        clicked_at = run.started_at + timedelta(minutes=random.randint(5, 170))
        at = int(clicked_at.timestamp() * 1000)
        letter = {"delivery_id": delivery.id, "run_id": run.id}
        db.session.add(Engagement(**letter, mailing_id=run.mailing_id, clicks=1, first_click_at=at))
        db.session.add(Click(**letter, number=1, first_at=at, last_at=at, was_person=True, clicks=1))
        changes.add("clicked", 1, clicked_at)
        run.clicked += 1
        if delivery.id % 3:
            run.clicked_on_phone += 1
        else:
            run.clicked_on_computer += 1
    link = {
        "url": "https://www.example.com/new",
        "label": "See what is new",
        "people": run.clicked,
        "clicks": run.clicked,
    }
    db.session.add(RunLink(run_id=run.id, number=1, **link))
    changes.write(db.session.connection())


def _add_purchases(owner: User, random: Random, now: datetime) -> None:
    """Add purchases of some clients within two days of their click."""
    clicked = (
        select(Client, Click.last_at)
        .join(Delivery, Delivery.client_id == Client.id)
        .join(Click, Click.delivery_id == Delivery.id)
        .where(Client.owner_id == owner.id)
        .order_by(Click.last_at, Client.id)
    )
    number = 2000
    for client, clicked_at in db.session.execute(clicked).tuples().all():
        if random.random() > PURCHASE_RATE:
            continue
        number += random.randint(1, 9)
        at = datetime.fromtimestamp(clicked_at / 1000, now.tzinfo) + timedelta(hours=random.uniform(0.2, 40))
        amount = random.choice(AMOUNTS) * 100
        add_purchase(client, NewPurchase(str(number), amount, "RUB", min(at, now)), now)


def _add_notes(owner: User, now: datetime) -> None:
    """Add a note by the owner for every second purchase."""
    bought = select(Purchase).where(Purchase.owner_id == owner.id).order_by(Purchase.id)
    for number, purchase in enumerate(db.session.scalars(bought).all()):
        if number % 2 == 0 and purchase.client_id is not None:
            note = ClientNote(
                owner_id=owner.id, client_id=purchase.client_id, text=NOTES[number % len(NOTES)]
            )
            note.created_at = min(purchase.purchased_at + timedelta(hours=3), now)
            db.session.add(note)
