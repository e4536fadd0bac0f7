"""Add noted hits to the counts: exactly once, people and machines apart, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing import counters
from skymailing.caching.folds import START_FOLD
from skymailing.clock import utcnow
from skymailing.models import (
    Click,
    DeliveryState,
    Engagement,
    OpenTracking,
    Run,
    RunInterval,
    RunLink,
    User,
)
from skymailing.retention.batches import remove_letters
from skymailing.tracking import hits as hits_module
from skymailing.tracking.click_counts import to_milliseconds
from skymailing.tracking.folding import fold_hits
from skymailing.tracking.hits import HITS, TRACKING_IMAGE, NotedHit, note
from skymailing.tracking.machines import Visitor
from tests.support.factories import MailingFactory, create_run
from tests.support.servers import RedisServer
from tests.tracking.runs import add_links, list_letter_ids

NOW = utcnow().replace(microsecond=0)
FOLDS = f"{HITS}:folds"
Note = Callable[..., None]


@pytest.fixture
def run(session: Session, user: User) -> Run:
    """Return a run with ten letters, whose content has five links."""
    run = create_run(
        MailingFactory.create(owner=user), {DeliveryState.SENT: 10}, track_opens=OpenTracking.DAY
    )
    return add_links(session, run)


@pytest.fixture
def letters(session: Session, run: Run) -> list[int]:
    return list_letter_ids(session, run)


@pytest.fixture
def click(app: Flask, run: Run) -> Note:
    """Return a function that notes a click, some milliseconds after NOW."""

    def click(letter: int, number: int, at: int = 0, visitor: Visitor = Visitor.PERSON) -> None:
        with app.app_context():
            note(NotedHit(run.id, letter, number, to_milliseconds(NOW) + at, visitor))

    return click


def fold(app: Flask) -> None:
    with app.app_context():
        fold_hits(NOW)


def read_link(session: Session, run: Run, number: int = 1) -> tuple[int, int, int]:
    session.expire_all()
    link = session.get_one(RunLink, (run.id, number))
    return link.people, link.clicks, link.machine_clicks


def test_people_and_clicks_are_counted_per_link_letter_and_run(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note
) -> None:
    click(letters[0], 1)
    click(letters[0], 1, 60_000)
    click(letters[0], 2, 90_000)
    click(letters[1], 1, 5_000)
    click(letters[2], 1, 7_000, Visitor.MACHINE)
    fold(app)
    assert read_link(session, run, 1) == (2, 3, 1)
    assert read_link(session, run, 2) == (1, 1, 0)
    session.refresh(run)
    assert run.clicked == 2
    counted = select(RunInterval.clicked).where(RunInterval.run_id == run.id, RunInterval.clicked > 0)
    assert session.scalars(counted).all() == [2]
    first = session.get_one(Engagement, letters[0])
    assert (first.clicks, first.machine_clicks, first.first_click_at) == (3, 0, to_milliseconds(NOW))
    scanned = session.get_one(Engagement, letters[2])
    assert (scanned.clicks, scanned.machine_clicks, scanned.first_click_at) == (0, 1, None)
    click(letters[1], 1, 99_000)
    fold(app)
    assert read_link(session, run, 1) == (2, 4, 1)
    session.refresh(run)
    assert run.clicked == 2


def test_a_scanner_that_follows_all_links_at_once_is_a_machine(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note
) -> None:
    for number in range(1, 6):
        click(letters[0], number, 200 * number)
    click(letters[0], 2, 40_000)  # the person, later
    fold(app)
    assert read_link(session, run, 1) == (0, 0, 1)
    assert read_link(session, run, 2) == (1, 1, 1)
    session.refresh(run)
    assert run.clicked == 1


def test_a_burst_across_two_folds_is_corrected(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note
) -> None:
    click(letters[0], 1)
    click(letters[0], 2, 300)
    fold(app)
    session.refresh(run)
    assert run.clicked == 1
    click(letters[0], 3, 600)
    fold(app)
    assert [read_link(session, run, number) for number in (1, 2, 3)] == [(0, 0, 1)] * 3
    session.refresh(run)
    assert run.clicked == 0
    engagement = session.get_one(Engagement, letters[0])
    assert (engagement.clicks, engagement.machine_clicks, engagement.first_click_at) == (0, 3, None)


def test_only_the_day_of_the_last_open_is_kept(
    app: Flask, session: Session, letters: list[int], click: Note
) -> None:
    day = 24 * 3600 * 1000
    click(letters[0], TRACKING_IMAGE, 2 * day)
    click(letters[0], TRACKING_IMAGE, day)
    click(letters[1], TRACKING_IMAGE, visitor=Visitor.APPLE)
    click(letters[2], TRACKING_IMAGE, visitor=Visitor.MACHINE)
    fold(app)
    click(letters[0], TRACKING_IMAGE)
    fold(app)
    opened = select(Engagement.delivery_id, Engagement.opened_on)
    assert session.execute(opened).tuples().all() == [(letters[0], (NOW + timedelta(days=2)).date())]
    assert type(session.get_one(Engagement, letters[0]).opened_on) is date


def test_opens_are_not_kept_unless_the_mailing_counts_them(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note
) -> None:
    run.track_opens = OpenTracking.OFF
    session.flush()
    click(letters[0], TRACKING_IMAGE)
    fold(app)
    assert session.scalars(select(Engagement)).all() == []


def test_a_crash_after_the_commit_counts_no_hit_twice(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note, redis_server: RedisServer
) -> None:
    click(letters[0], 1)
    redis = redis_server.client
    redis.eval(START_FOLD, 2, HITS, FOLDS, "crashed")
    key = f"{HITS}:crashed"
    dump = redis.dump(key)
    assert dump is not None
    fold(app)
    redis.restore(key, 0, dump)  # the state before the last step, which deletes the hits
    redis.sadd(FOLDS, "crashed")
    click(letters[1], 1)
    fold(app)
    assert read_link(session, run) == (2, 2, 0)
    assert not redis.exists(key, FOLDS)


def test_slices_continue_where_a_killed_fold_stopped(
    app: Flask,
    session: Session,
    run: Run,
    letters: list[int],
    click: Note,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skymailing.tracking.folding.SLICE", 2)
    for letter in letters:
        click(letter, 1)

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("skymailing.tracking.folding.is_sqlite", die)  # called after each slice
        for done in (2, 4):
            with pytest.raises(KeyboardInterrupt):
                fold(app)
            assert read_link(session, run) == (done, done, 0)
    fold(app)
    assert read_link(session, run) == (10, 10, 0)


def test_sweeps_at_the_same_time_count_each_hit_once(
    app: Flask,
    session: Session,
    run: Run,
    letters: list[int],
    click: Note,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skymailing.tracking.folding.SLICE", 3)
    for hit in range(60):
        click(letters[hit % 10], 1, hit * 1_000)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(fold, app) for _sweep in range(4)]:
            future.result()
    assert read_link(session, run) == (10, 60, 0)
    session.refresh(run)
    assert run.clicked == 10


def test_hits_of_removed_letters_and_of_reused_ids_are_ignored(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note
) -> None:
    click(999_999_999, 1)
    with app.app_context():
        note(NotedHit(run.id + 1, letters[0], 1, to_milliseconds(NOW), Visitor.PERSON))
    fold(app)
    assert read_link(session, run) == (0, 0, 0)


def test_clicks_are_details_of_a_run_and_links_are_not(
    app: Flask, session: Session, run: Run, letters: list[int], click: Note
) -> None:
    click(letters[0], 1)
    fold(app)
    with app.app_context():
        remove_letters(run.id)
    assert session.scalars(select(Click)).all() == []
    assert session.scalars(select(Engagement)).all() == []
    assert read_link(session, run) == (1, 1, 0)


@pytest.mark.one_engine
def test_lost_hits_are_counted(
    app: Flask, letters: list[int], click: Note, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hits_module, "MAX_WAITING", 3)
    for number in range(5):
        click(letters[0], 1, number * 10_000)
    assert redis_server.client.llen(HITS) == 3
    click(letters[0], 1, 99_000)
    fold(app)
    click(letters[0], 1, 200_000)
    with app.app_context():
        assert counters.read()["hits_lost"] == 3


@pytest.mark.one_engine
@pytest.mark.parametrize("invalid", [b"", b"\xff", b"1 2", b"1 2 3 4 x", b"1 2 1 " + b"9" * 15 + b" p"])
def test_a_hit_that_cannot_be_read_is_lost_and_holds_up_no_other(
    app: Flask,
    session: Session,
    run: Run,
    letters: list[int],
    click: Note,
    redis_server: RedisServer,
    invalid: bytes,
) -> None:
    with app.app_context():
        before = counters.read().get("hits_lost", 0)
    click(letters[0], 1)
    redis_server.client.rpush(HITS, invalid)
    click(letters[1], 1)
    fold(app)
    assert read_link(session, run) == (2, 2, 0)
    assert not redis_server.client.keys(f"{HITS}*")
    with app.app_context():
        assert counters.read()["hits_lost"] == before + 1
