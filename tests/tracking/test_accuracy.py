"""Test that counts of people and machines that open letters and links are off by at most 2%.

Every request takes the real path: through the redirect in front of Flask, Redis, and the folds.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import create_environ, run_wsgi_app

from skymailing.clock import utcnow
from skymailing.delivery.rendering.click_tokens import ClickSigner
from skymailing.models import (
    Consent,
    Delivery,
    DeliveryState,
    Engagement,
    OpenTracking,
    Run,
    RunLink,
    Suppression,
    User,
)
from skymailing.tokens import unsubscribe_token
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import TRACKING_IMAGE
from skymailing.tracking.targets import forget_targets
from tests.support.factories import MailingFactory, create_run
from tests.tracking.mailbox import GATEWAYS, LINKS, Mailboxes, Visit

LETTERS = 2_000
TOLERANCE = 0.02
SWEEP = 15  # seconds
START = utcnow().replace(microsecond=0)


@pytest.fixture
def run(session: Session, user: User) -> Iterator[Run]:
    forget_targets()
    mailing = MailingFactory.create(owner=user)
    counts = {DeliveryState.SENT: LETTERS}
    run = create_run(mailing, counts, track_clicks=True, track_opens=OpenTracking.DAY)
    for number in range(1, LINKS + 1):
        session.add(RunLink(run_id=run.id, number=number, url=f"https://shop.example/{number}"))
    session.flush()
    yield run
    forget_targets()


def plan_folds(mailboxes: Mailboxes) -> list[float]:
    """Return when sweeps run: regularly, and also in the middle of some scans."""
    last = mailboxes.visits[-1].at
    regular = [*range(SWEEP, 180, SWEEP), *range(180, int(last) + 1800, 1800)]
    return sorted([*regular, *((start + end) / 2 for start, end, _letter in mailboxes.truth.scans[::40])])


class Web:
    """Makes the visits' requests at their times, and folds between them."""

    def __init__(self, app: Flask, run: Run) -> None:
        self.app = app
        self.environ = create_environ(base_url=app.config["PUBLIC_URL"])
        with app.app_context():
            self.signer = ClickSigner(run.id, run.uuid)

    def play(self, mailboxes: Mailboxes) -> None:
        folds = iter(plan_folds(mailboxes))
        next_fold = next(folds)
        with time_machine.travel(START, tick=False) as clock:
            for visit in mailboxes.visits:
                while visit.at > next_fold:
                    self.fold(next_fold)
                    next_fold = next(folds)
                clock.move_to(START + timedelta(seconds=visit.at))
                self.request(visit)
            self.fold(next_fold)

    def request(self, visit: Visit) -> None:
        token = self.signer.make_token(visit.letter)
        path = f"/o/{token}.gif" if visit.number == TRACKING_IMAGE else f"/c/{token}/{visit.number}"
        headers = {"HTTP_USER_AGENT": visit.agent, "HTTP_SEC_PURPOSE": visit.purpose}
        about = {"REQUEST_METHOD": visit.method, "PATH_INFO": path}
        # This avoids the test client, which takes longer than the request.
        _body, status, _headers = run_wsgi_app(self.app, self.environ | about | headers)
        assert status.startswith("200" if visit.number == TRACKING_IMAGE else "302")

    def fold(self, at: float) -> None:
        with self.app.app_context():
            fold_hits(START + timedelta(seconds=at))


def is_close(counted: int, truth: int) -> bool:
    return abs(counted - truth) <= TOLERANCE * truth


@pytest.mark.one_engine
def test_people_and_machines_are_counted_within_two_percent(app: Flask, session: Session, run: Run) -> None:
    letters = session.scalars(select(Delivery.id).where(Delivery.run_id == run.id)).all()
    mailboxes = Mailboxes(letters, seed=17)
    Web(app, run).play(mailboxes)
    session.expire_all()
    truth = mailboxes.truth
    links = session.scalars(select(RunLink).where(RunLink.run_id == run.id)).all()
    opened = session.scalar(select(func.count()).where(Engagement.opened_on.is_not(None))) or 0
    assert is_close(run.clicked, truth.people)
    assert is_close(opened, truth.opened)
    assert sum(abs(link.people - truth.by_link[link.number]) for link in links) <= (
        TOLERANCE * truth.by_link.total()
    )
    assert all(is_close(link.people, truth.by_link[link.number]) for link in links)
    # Most requests are machines'.
    assert sum(link.machine_clicks for link in links) > LINKS * len(truth.scans)


@pytest.mark.one_engine
def test_gateways_that_follow_the_unsubscribe_link_unsubscribe_no_one(
    app: Flask, session: Session, run: Run, visitor: FlaskClient
) -> None:
    letters = session.scalars(select(Delivery).where(Delivery.run_id == run.id).limit(20)).all()
    for letter, agent in zip(letters, cycle(GATEWAYS), strict=False):
        with app.app_context():
            token = unsubscribe_token(run.mailing.owner_id, letter.email_key)
        for path in (f"/u/{token}", f"/p/{token}"):
            for method in ("HEAD", "GET"):
                assert visitor.open(path, method=method, headers={"User-Agent": agent}).status_code == 200
    assert session.scalars(select(Suppression)).all() == []
    assert session.scalars(select(Consent)).all() == []
