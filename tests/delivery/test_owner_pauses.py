"""Test that a mail server that refuses only one user's letters still gets those of other users."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.routing import owner_pauses, reopening, routes
from skymailing.delivery.routing.owner_pauses import ACCOUNT_LETTERS
from skymailing.models import BreakerState, OwnerPause, Route, User
from skymailing.outbox import tasks as outbox
from tests.delivery.conftest import ServeFrom, Work
from tests.faults.sink import Sink, Stage, Turn
from tests.outbox.conftest import add_letter
from tests.support.factories import UserFactory, create_clients, due_mailing

# The consequences of a refusal are decided in Python.
pytestmark = pytest.mark.one_engine

REFUSAL = "421 4.7.0 not with these links"


@pytest.fixture
def other(session: Session) -> User:
    return UserFactory.create()


@pytest.fixture
def refused(user: User) -> set[str]:
    """Return the addresses for which the server accepts no letters."""
    return {client.email for client in create_clients(user, 20)}


@pytest.fixture
def sink(refused: set[str], serve_from: ServeFrom) -> Iterator[Sink]:
    def refuse(turn: Turn) -> None:
        if turn.stage is Stage.DOT and turn.recipient in refused:
            turn.say(REFUSAL)
            turn.hang_up()

    with Sink(script=refuse) as sink:
        serve_from(sink.port)
        yield sink


@pytest.fixture
def refuse_user(user: User, sink: Sink, sweep: Work) -> None:
    """Send letters of `user` until the breaker opens."""
    due_mailing(user)
    for _ in range(5):
        sweep()


def read_route(session: Session) -> Route:
    session.expire_all()
    return session.execute(select(Route).where(Route.name == routes.PRIMARY)).scalar_one()


def read_pauses(session: Session) -> dict[int, int]:
    session.expire_all()
    return {pause.owner_id: pause.seconds for pause in session.scalars(select(OwnerPause))}


@pytest.mark.both_engines
@pytest.mark.usefixtures("refuse_user")
def test_other_users_letters_are_sent_while_one_user_is_refused(
    session: Session, user: User, other: User, sink: Sink, sweep: Work
) -> None:
    route = read_route(session)
    assert (route.state, route.blamed_owner_id) == (BreakerState.OPEN, user.id)
    create_clients(other, 30)
    due_mailing(other)
    sweep()

    assert len(sink.letters) == 30
    assert read_route(session).state is BreakerState.CLOSED
    assert read_pauses(session) == {user.id: 60}
    tried = len(sink.started)
    sweep()
    assert len(sink.started) == tried, "the letters of the first user wait"


@pytest.mark.usefixtures("refuse_user")
def test_one_letter_tries_the_server_after_each_pause_which_doubles(
    session: Session, user: User, other: User, sink: Sink, sweep: Work
) -> None:
    create_clients(other, 1)
    due_mailing(other)
    sweep()
    now = utcnow()
    for minutes, seconds in ((2, 120), (5, 240), (10, 480)):
        tried = len(sink.started)
        with time_machine.travel(now + timedelta(minutes=minutes)):
            sweep()
            sweep()
        assert len(sink.started) == tried + 1
        assert read_pauses(session) == {user.id: seconds}
        assert read_route(session).state is BreakerState.CLOSED


@pytest.mark.usefixtures("refuse_user")
def test_the_letters_are_sent_once_the_server_accepts_them(
    session: Session, user: User, other: User, sink: Sink, sweep: Work, refused: set[str]
) -> None:
    create_clients(other, 1)
    due_mailing(other)
    sweep()
    addresses = refused.copy()
    refused.clear()
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert read_pauses(session) == {}
    assert Counter(letter.to for letter in sink.letters)[next(iter(addresses))] == 1
    assert addresses <= {letter.to for letter in sink.letters}


@pytest.mark.usefixtures("refuse_user")
def test_a_server_that_refuses_everyone_remains_shut_off(
    session: Session, user: User, other: User, sink: Sink, sweep: Work, refused: set[str]
) -> None:
    """The letter of another user is one probe, and then both wait."""
    tried = len(sink.started)
    refused |= {client.email for client in create_clients(other, 9)}
    due_mailing(other)
    sweep()
    sweep()

    assert len(sink.started) == tried + 1
    route = read_route(session)
    assert (route.state, route.blamed_owner_id) == (BreakerState.OPEN, other.id)
    assert read_pauses(session) == {user.id: 60}


@pytest.mark.usefixtures("refuse_user")
def test_two_refused_users_do_not_keep_other_users_from_sending(
    app: Flask, session: Session, user: User, other: User, sink: Sink, sweep: Work, refused: set[str]
) -> None:
    refused |= {client.email for client in create_clients(other, 9)}
    due_mailing(other)
    sweep()
    third = UserFactory.create()
    create_clients(third, 9)
    due_mailing(third)
    sweep()

    assert len(sink.letters) == 9
    assert read_route(session).state is BreakerState.CLOSED
    assert read_pauses(session).keys() == {user.id, other.id}


def test_alternating_faults_of_two_users_do_not_keep_other_users_from_sending(
    app: Flask, session: Session, user: User, other: User, sink: Sink, sweep: Work
) -> None:
    with app.app_context():
        for owner in (user, other, user, other, user):
            routes.report_fault(routes.PRIMARY, routes.Fault(421, "421 no", owner.id), utcnow())
    third = UserFactory.create()
    create_clients(third, 9)
    due_mailing(third)
    sweep()

    assert len(sink.letters) == 9


@pytest.mark.usefixtures("refuse_user")
def test_an_account_letter_is_sent_at_once(app: Flask, session: Session, user: User, sink: Sink) -> None:
    """It also shows that the user's letters cause the fault."""
    letter = add_letter(app, session, UserFactory.create(), "reset-password")
    with app.app_context():
        assert outbox.send_due_letters(utcnow()) == 1

    assert [accepted.to for accepted in sink.letters] == [letter.to]
    assert read_pauses(session) == {user.id: 60}


@pytest.mark.both_engines
@pytest.mark.usefixtures("refuse_user")
def test_a_paused_users_letters_use_the_second_route(
    session: Session,
    user: User,
    other: User,
    sink: Sink,
    sweep: Work,
    serve_from: ServeFrom,
    refused: set[str],
) -> None:
    create_clients(other, 1)
    due_mailing(other)
    sweep()
    with Sink() as second:
        serve_from(sink.port, second=second.port)
        sweep()

    assert {letter.to for letter in second.letters} == refused


@pytest.mark.usefixtures("refuse_user")
def test_reopening_the_route_ends_the_pauses(app: Flask, session: Session, other: User, sweep: Work) -> None:
    create_clients(other, 1)
    due_mailing(other)
    sweep()
    assert read_pauses(session)
    with app.app_context():
        reopening.reopen(routes.PRIMARY)
    assert not read_pauses(session)


@pytest.mark.both_engines
@pytest.mark.usefixtures("refuse_user")
def test_an_untested_pause_is_forgotten_after_a_day(
    app: Flask, session: Session, user: User, other: User, sweep: Work
) -> None:
    create_clients(other, 1)
    due_mailing(other)
    sweep()
    with app.app_context():
        owner_pauses.delete_old(utcnow() + timedelta(hours=24))
        assert read_pauses(session) == {user.id: 60}
        owner_pauses.delete_old(utcnow() + timedelta(hours=25))
    assert read_pauses(session) == {}


@pytest.mark.parametrize(
    ("code", "owners", "blamed"),
    [
        (421, (1, 1, 1), 1),
        (454, (ACCOUNT_LETTERS, ACCOUNT_LETTERS), ACCOUNT_LETTERS),
        (421, (1, 2, 3), 3),
        (421, (1, 1, None), None),
        (530, (1, 1, 1), None),
    ],
)
def test_the_owner_of_the_last_refused_letter_is_blamed(
    app: Flask, session: Session, code: int, owners: tuple[int | None, ...], blamed: int | None
) -> None:
    with app.app_context():
        for owner_id in owners:
            routes.report_fault(routes.PRIMARY, routes.Fault(code, f"{code} no", owner_id), utcnow())
    assert read_route(session).blamed_owner_id == blamed
