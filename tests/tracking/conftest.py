"""Provide a run that counts opens per person, its letters, and the consent of its recipients."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.open_choice import save_choice
from skymailing.extensions import db
from skymailing.models import (
    Client,
    Delivery,
    DeliveryState,
    OpenTracking,
    Run,
    User,
)
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import TRACKING_IMAGE, NotedHit, note
from skymailing.tracking.machines import Visitor
from tests.support.factories import (
    MailingFactory,
    create_run,
)
from tests.tracking.opens import NOW, Choose, Open


@pytest.fixture
def choose(app: Flask, user: User) -> Choose:
    """Return a function that records what a person chose."""

    def choose(client: Client, *, is_given: bool = True, later: int = 0) -> None:
        with app.app_context():
            save_choice(user.id, client.email_key, is_given, NOW + timedelta(seconds=later))
            db.session.commit()

    return choose


@pytest.fixture
def run(user: User) -> Run:
    """Return a run with three letters that counts opens per person."""
    mailing = MailingFactory.create(owner=user, track_opens=OpenTracking.PERSON)
    return create_run(mailing, {DeliveryState.SENT: 3}, track_opens=OpenTracking.PERSON)


@pytest.fixture
def letters(session: Session, run: Run) -> list[Delivery]:
    return list(session.scalars(select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)))


@pytest.fixture
def open_letter(app: Flask, run: Run) -> Open:
    """Return a function that loads a letter's tracking image, some seconds after NOW, and folds."""

    def open_letter(letter: Delivery, *seconds: int) -> None:
        with app.app_context():
            for later in seconds or (0,):
                at = to_milliseconds(NOW + timedelta(seconds=later))
                note(NotedHit(run.id, letter.id, TRACKING_IMAGE, at, Visitor.PERSON))
            fold_hits(NOW)

    return open_letter
