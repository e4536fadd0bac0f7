"""Give a past run an A/B test with a clear winner."""

from datetime import timedelta
from random import Random

from sqlalchemy import select

from skymailing.delivery.ledger.run_counts import Changes, run_keys
from skymailing.delivery.variants.samples import Sample
from skymailing.extensions import db
from skymailing.models import (
    Click,
    Decision,
    Delivery,
    DeliveryState,
    Engagement,
    MailingVariant,
    Run,
    RunLink,
    RunVariant,
    WinnerBy,
)

PERCENT = 50
HOURS = 4
WINNER = 2
RATES = {1: 0.1, 2: 0.32}  # the shares of clients who click


def add_test(run: Run, subject: str, random: Random) -> None:
    """Turn a finished run, whose deliveries have been stored, into an A/B test that a variant has won."""
    mailing = run.mailing
    mailing.sample_percent, mailing.track_clicks = PERCENT, True
    db.session.add(MailingVariant(mailing_id=mailing.id, number=WINNER, subject=subject))
    run.track_clicks, run.test_hours, run.winner_by = True, HOURS, WinnerBy.CLICKS
    run.test_ends_at = run.decided_at = run.started_at + timedelta(hours=HOURS)
    run.winner, run.decision = WINNER, Decision.CLICKS
    names = {"sender_name": run.sender_name, "language": run.language}
    for number, text in ((1, run.subject), (WINNER, subject)):
        content = {"subject": text, "format": run.format, "body": run.body}
        db.session.add(RunVariant(run_id=run.id, number=number, **content, **names))
    (key,) = run_keys(db.session.connection(), [run.id])
    changes = Changes(key, is_shared=True)
    sample = Sample(run.uuid, PERCENT, len(RATES))
    for delivery in db.session.scalars(select(Delivery).where(Delivery.run_id == run.id)):
        delivery.variant = sample.choose(delivery.client_id or 0)
        if delivery.state is DeliveryState.SENT and random.random() < RATES[delivery.variant or WINNER]:
            _add_click(run, delivery, changes)
    link = {
        "url": "https://www.example.com/osen",
        "label": "Посмотреть коллекцию",
        "people": run.clicked,
        "clicks": run.clicked,
    }
    db.session.add(RunLink(run_id=run.id, number=1, **link))
    changes.write(db.session.connection())


def _add_click(run: Run, delivery: Delivery, changes: Changes) -> None:
    # Most people click soon, but some click hours later.
    clicked_at = run.started_at + timedelta(minutes=3 + (delivery.id * 37 % 100) ** 2 / 20)
    at = int(clicked_at.timestamp() * 1000)
    key = {"delivery_id": delivery.id, "run_id": run.id}
    db.session.add(Engagement(**key, mailing_id=run.mailing_id, clicks=1, first_click_at=at))
    db.session.add(Click(**key, number=1, first_at=at, last_at=at, was_person=True, clicks=1))
    changes.add("clicked", 1, clicked_at)
    run.clicked += 1
    if delivery.id % 3:
        run.clicked_on_phone += 1
    else:
        run.clicked_on_computer += 1
