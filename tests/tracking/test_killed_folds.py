"""Test that the sweep after a killed fold counts each hit exactly once."""

import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import tracking
from skymailing.caching import folds
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Click, Delivery, DeliveryState, Engagement, OpenTracking, Run, RunLink, User
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import HITS, TRACKING_IMAGE, NotedHit, note
from skymailing.tracking.machines import Visitor
from tests.support.factories import MailingFactory, create_run
from tests.support.servers import RedisServer
from tests.support.steps import StepTracer, kill_process

ROUNDS = 12
LETTERS = 6
LINKS = 4
SLICE = 7  # hits; a round has several slices
FILES = {folds.__file__, *(str(file) for file in Path(tracking.__path__[0]).glob("*.py"))}
NOW = utcnow().replace(microsecond=0)


def fold(app: Flask) -> None:
    with app.app_context():
        fold_hits(NOW)


def fold_and_die(app: Flask, step: int) -> None:
    """Fold in a child process that is killed at the given step."""
    child = os.fork()
    if child:
        _pid, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        return
    try:
        with app.app_context():
            db.engine.dispose(close=False)  # these connections belong to the parent
        with StepTracer(FILES, step, kill_process), suppress(BaseException):
            fold(app)
    finally:
        os._exit(0)


@pytest.fixture
def run(session: Session, user: User) -> Run:
    mailing = MailingFactory.create(owner=user)
    run = create_run(mailing, {DeliveryState.SENT: LETTERS}, track_opens=OpenTracking.DAY)
    for number in range(1, LINKS + 1):
        session.add(RunLink(run_id=run.id, number=number, url=f"https://shop.example/{number}"))
    session.flush()
    return run


class Clicks:
    """Hits in random order, with a known number for each letter and link."""

    def __init__(self, app: Flask, run: Run, letters: list[int]) -> None:
        self.app, self.run, self.letters = app, run, letters
        self.at = to_milliseconds(NOW)
        self.counted: dict[tuple[int, int], int] = {}

    def add(self, chance: random.Random, count: int) -> None:
        with self.app.app_context():
            for _hit in range(count):
                self.at += 60_000
                letter, number = chance.choice(self.letters), chance.randint(TRACKING_IMAGE, LINKS)
                note(NotedHit(self.run.id, letter, number, self.at, Visitor.PERSON))
                if number != TRACKING_IMAGE:
                    self.counted[letter, number] = self.counted.get((letter, number), 0) + 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fold_that_is_killed_anywhere_counts_each_hit_once(
    app: Flask, session: Session, run: Run, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.tracking.folding.SLICE", SLICE)
    letters = session.scalars(select(Delivery.id).where(Delivery.run_id == run.id)).all()
    chance = random.Random(17)
    clicks = Clicks(app, run, list(letters))
    clicks.add(chance, 3 * SLICE)
    with StepTracer(FILES) as steps:
        fold(app)
    for _round in range(ROUNDS):
        clicks.add(chance, 3 * SLICE)
        step = chance.randint(1, steps.count * 3 // 4)
        fold_and_die(app, step)
        clicks.add(chance, 2)
        fold(app)
        session.expire_all()
        stored = {(row.delivery_id, row.number): row.clicks for row in session.scalars(select(Click))}
        assert stored == clicks.counted, f"killed before step {step} of {steps.count}"
        links = session.scalars(select(RunLink).where(RunLink.run_id == run.id)).all()
        assert sum(link.clicks for link in links) == sum(clicks.counted.values())
        assert sum(link.people for link in links) == len(clicks.counted)
        assert sum(row.clicks for row in session.scalars(select(Engagement))) == sum(clicks.counted.values())
        assert run.clicked == len({letter for letter, _number in clicks.counted})
    assert not redis_server.client.keys(f"{HITS}*"), "no fold is left"
