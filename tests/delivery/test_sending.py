"""A mailing on its way: planned, sent, retried, ended; through real jobs, database and mail server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.send import close_dispatcher
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.models import (
    Attempt,
    Audience,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    OnUnknown,
    Outcome,
    Periodicity,
    Route,
    Run,
    RunState,
    Suppression,
    SuppressionReason,
    User,
)
from tests.delivery.ledger import check_ledger, only_run, states
from tests.delivery.scripted import Peer, scripted_server
from tests.factories import ClientFactory, MailingFactory, SuppressionFactory, create_clients
from tests.servers import RedisServer, SmtpServer

Work = Callable[[], None]


def due_mailing(owner: User, **values: object) -> Mailing:
    return MailingFactory.create(
        owner=owner, **{"state": MailingState.SCHEDULED, "next_run_at": utcnow()} | values
    )


@pytest.fixture
def start(app: Flask, work: Work) -> Callable[[Mailing], None]:
    """Return a function that lets a mailing start and workers do all that follows at once."""

    def do(mailing: Mailing) -> None:
        with app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        work()

    return do


@pytest.fixture
def sweep(app: Flask, work: Work) -> Work:
    def do() -> None:
        with app.app_context():
            jobs.sweep()
        work()

    return do


Start = Callable[[Mailing], None]


def test_every_client_gets_a_letter_of_their_own(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 30)
    create_clients(User(email="x@example.com", password_hash="", timezone="UTC"), 0)
    mailing = due_mailing(user)

    start(mailing)

    run = only_run(session)
    assert states(session, run) == {"sent": 30}
    assert run.state is RunState.FINISHED
    assert run.finished_at is not None
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED
    assert smtp.per_address() == {client.email: 1 for client in clients}
    check_ledger(session, run, smtp.letters)
    letter = next(letter for letter in smtp.letters if letter.to == clients[0].email)
    assert letter.parsed["To"].addresses[0].addr_spec == clients[0].email
    assert letter.parsed["Reply-To"] == user.email
    assert clients[0].full_name in letter.text
    assert clients[0].full_name in letter.html
    assert letter.parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for other in clients[1:]:
        assert other.email.encode() not in letter.content


def test_every_attempt_is_logged_with_the_servers_words(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    start(due_mailing(user))

    attempt = session.execute(select(Attempt)).scalar_one()
    assert (attempt.outcome, attempt.code, attempt.answer) == (Outcome.SENT, 250, "2.0.0 queued as 1")
    assert attempt.delivery.email == client.email
    assert attempt.owner_id == user.id
    assert attempt.route == "primary"


def test_only_chosen_clients_are_mailed(session: Session, user: User, start: Start, smtp: SmtpServer) -> None:
    chosen, _ = create_clients(user, 2)
    mailing = due_mailing(user, audience=Audience.SELECTED)
    from skymailing.models import mailing_clients

    session.execute(mailing_clients.insert(), [{"mailing_id": mailing.id, "client_id": chosen.id}])

    start(mailing)

    assert smtp.per_address() == {chosen.email: 1}


def test_clients_of_other_owners_are_never_mailed(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    ClientFactory.create()
    mine = ClientFactory.create(owner=user)

    start(due_mailing(user))

    assert smtp.per_address() == {mine.email: 1}


def test_a_suppressed_address_has_its_row_and_gets_nothing(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    gone, stays = create_clients(user, 2)
    SuppressionFactory.create(owner_id=user.id, email_key=gone.email_key)

    start(due_mailing(user))

    run = only_run(session)
    assert states(session, run) == {"sent": 1, "suppressed": 1}
    assert smtp.per_address() == {stays.email: 1}


def test_who_unsubscribes_while_a_run_is_under_way_gets_nothing(
    app: Flask, session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    gone, _ = create_clients(user, 2)
    mailing = due_mailing(user)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    SuppressionFactory.create(owner_id=user.id, email_key=gone.email_key)

    with app.app_context():
        jobs.send_slice(only_run(session).id, 0)

    assert states(session, only_run(session)) == {"sent": 1, "suppressed": 1}
    assert gone.email not in smtp.per_address()
    check_ledger(session, only_run(session), smtp.letters)


def test_another_owners_suppression_does_not_count(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    stranger = ClientFactory.create().owner
    SuppressionFactory.create(owner_id=stranger.id, email_key=client.email_key)

    start(due_mailing(user))

    assert smtp.per_address() == {client.email: 1}


def test_a_refused_address_fails_and_a_dead_one_is_suppressed(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    dead, full, fine = create_clients(user, 3)
    smtp.rcpt_replies[dead.email] = "550 5.1.1 no such user"
    smtp.rcpt_replies[full.email] = "552 5.2.2 mailbox full"

    start(due_mailing(user))

    run = only_run(session)
    assert states(session, run) == {"sent": 1, "failed": 2}
    suppression = session.execute(select(Suppression)).scalar_one()
    assert (suppression.email_key, suppression.reason) == (dead.email_key, SuppressionReason.BOUNCED)
    assert set(smtp.per_address()) == {fine.email}
    check_ledger(session, run, smtp.letters)


def test_a_deferred_letter_is_tried_again_in_time(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "451 4.7.1 greylisted"
    start(due_mailing(user))

    delivery = session.execute(select(Delivery)).scalar_one()
    assert delivery.state is DeliveryState.DEFERRED
    assert timedelta(seconds=45) < delivery.due_at - utcnow() < timedelta(seconds=75)
    assert only_run(session).state is RunState.SENDING

    sweep()
    assert not smtp.letters, "before its time"

    smtp.rcpt_replies.clear()
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    run = only_run(session)
    assert states(session, run) == {"sent": 1}
    assert run.state is RunState.FINISHED
    outcomes = session.scalars(select(Attempt.outcome).order_by(Attempt.number)).all()
    assert outcomes == [Outcome.DEFERRED, Outcome.SENT]
    check_ledger(session, run, smtp.letters)


def test_a_servers_own_waiting_time_is_obeyed(
    session: Session, user: User, start: Start, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    smtp.rcpt_replies[client.email] = "450 greylisted, try again in 10 minutes"
    start(due_mailing(user))

    delivery = session.execute(select(Delivery)).scalar_one()
    assert timedelta(minutes=9.9) < delivery.due_at - utcnow() <= timedelta(minutes=10)


def test_nothing_leaves_after_the_end_and_what_is_left_expires(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    late, fine = create_clients(user, 2)
    smtp.rcpt_replies[late.email] = "451 later"
    mailing = due_mailing(user, ends_at=utcnow() + timedelta(hours=1))
    start(mailing)
    smtp.rcpt_replies.clear()

    with time_machine.travel(utcnow() + timedelta(hours=1, minutes=1)):
        sweep()

    run = only_run(session)
    assert states(session, run) == {"sent": 1, "expired": 1}
    assert run.state is RunState.FINISHED
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED
    assert set(smtp.per_address()) == {fine.email}


def test_a_window_that_closed_unused_says_so(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 2)
    mailing = due_mailing(user, ends_at=utcnow() - timedelta(seconds=1))

    sweep()

    session.refresh(mailing)
    assert (mailing.state, mailing.state_reason) == (MailingState.FINISHED, "window-over")
    assert not smtp.letters
    assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_a_start_that_everybody_missed_is_found_by_the_sweep(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 3)
    due_mailing(user, next_run_at=utcnow() - timedelta(hours=2))

    sweep()

    assert states(session, only_run(session)) == {"sent": 3}


def test_a_future_mailing_waits(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 1)
    mailing = due_mailing(user, next_run_at=utcnow() + timedelta(minutes=5))

    start(mailing)
    sweep()

    assert not smtp.letters
    session.refresh(mailing)
    assert mailing.state is MailingState.SCHEDULED


def test_many_starts_at_once_make_one_run(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    clients = create_clients(user, 20)
    mailing = due_mailing(user)

    def begin(_: int) -> int | None:
        with app.app_context():
            return plan.start_due_run(mailing.id, utcnow())

    with ThreadPoolExecutor(10) as pool:
        runs = [run for run in pool.map(begin, range(50)) if run is not None]
    assert len(runs) == 1
    with app.app_context():
        jobs.hint_run(runs[0])
    work()

    assert smtp.per_address() == {client.email: 1 for client in clients}


@pytest.mark.parametrize("stop", ["pause", "disable", "block", "cancel"])
def test_nothing_is_claimed_once_a_mailing_is_stopped(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer, stop: str
) -> None:
    create_clients(user, 5)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        own = db.session.get_one(Mailing, mailing.id)
        match stop:
            case "pause":
                services.pause_mailing(own, utcnow())
            case "disable":
                services.disable_mailing(own, "complaints", utcnow())
            case "block":
                own.owner.blocked_at = utcnow()
            case "cancel":
                services.cancel_mailing(own, utcnow())
        db.session.commit()
        assert run_id is not None
        jobs.hint_run(run_id)
    sweep()

    assert not smtp.letters
    run = only_run(session)
    assert states(session, run) == ({"cancelled": 5} if stop == "cancel" else {"pending": 5})
    if stop == "cancel":
        assert run.state is RunState.CANCELLED
        return

    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        match stop:
            case "pause":
                services.resume_mailing(own, utcnow())
            case "disable":
                services.enable_mailing(own)
            case "block":
                own.owner.blocked_at = None
        db.session.commit()
    sweep()

    assert states(session, only_run(session)) == {"sent": 5}
    check_ledger(session, only_run(session), smtp.letters)


def test_failed_letters_can_be_sent_again(
    app: Flask, session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    unlucky, fine = create_clients(user, 2)
    smtp.rcpt_replies[unlucky.email] = "550 5.7.1 not today"
    mailing = due_mailing(user)
    start(mailing)
    smtp.rcpt_replies.clear()

    with app.app_context():
        own = db.session.get_one(Mailing, mailing.id)
        assert services.resend_failed(own, utcnow()) == 1
        assert services.resend_failed(own, utcnow()) == 0, "safe to press twice"
        db.session.commit()
    sweep()

    run = only_run(session)
    assert states(session, run) == {"sent": 2}
    assert run.state is RunState.FINISHED
    assert smtp.per_address() == {unlucky.email: 1, fine.email: 1}
    check_ledger(session, run, smtp.letters)


def take_and_hang_up(taken: list[str]) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.hear()
        peer.say("250 ok")
        taken.append(peer.hear())
        peer.say("250 ok")
        peer.hear()
        peer.say("354 go")
        peer.body()

    return serve


@pytest.fixture
def mail_port(app: Flask) -> Callable[[int], None]:
    """Return a function that points the app at another mail server; undone afterwards."""
    settings = app.extensions["mail"]
    before = settings.port

    def use(port: int) -> None:
        with app.app_context():
            close_dispatcher()
        settings.port = port

    yield use
    use(before)


@pytest.mark.parametrize("policy", OnUnknown)
def test_an_unknown_is_shown_and_follows_the_mailings_policy(
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    smtp_server: SmtpServer,
    mail_port: Callable[[int], None],
    policy: OnUnknown,
) -> None:
    client = ClientFactory.create(owner=user)
    taken: list[str] = []
    with scripted_server(take_and_hang_up(taken)) as port:
        mail_port(port)
        start(due_mailing(user, on_unknown=policy))
    assert taken == [f"RCPT TO:<{client.email}>"]
    attempt = session.execute(select(Attempt)).scalar_one()
    assert attempt.outcome is Outcome.UNKNOWN

    mail_port(smtp_server.port)
    with time_machine.travel(utcnow() + timedelta(minutes=31)):
        sweep()

    run = only_run(session)
    if policy is OnUnknown.HOLD:
        assert states(session, run) == {"unknown": 1}
        assert not smtp.letters
    else:
        assert states(session, run) == {"sent": 1}
        check_ledger(session, run, smtp.letters)
    assert run.state is RunState.FINISHED


def test_a_server_that_is_away_costs_nobody_an_attempt_and_later_gets_everything(
    session: Session,
    user: User,
    start: Start,
    sweep: Work,
    smtp: SmtpServer,
    smtp_server: SmtpServer,
    mail_port: Callable[[int], None],
) -> None:
    clients = create_clients(user, 3)
    mail_port(9)  # nobody listens there
    start(due_mailing(user))
    for _ in range(5):
        sweep()
    assert states(session, only_run(session)) == {"pending": 3}
    assert session.scalar(select(func.count()).select_from(Attempt)) == 0
    route = session.execute(select(Route)).scalar_one()
    assert route.state == "open"
    assert "refused" in route.last_fault

    mail_port(smtp_server.port)
    sweep()
    assert not smtp.letters, "the breaker is open"
    with time_machine.travel(utcnow() + timedelta(minutes=2)):
        sweep()

    assert smtp.per_address() == {client.email: 1 for client in clients}
    session.refresh(route)
    assert route.state == "closed"
    check_ledger(session, only_run(session), smtp.letters)


def test_a_refused_sender_pauses_the_mailing_and_says_why(
    session: Session, user: User, start: Start, mail_port: Callable[[int], None]
) -> None:
    def refuse(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.hear()
        peer.say("550 5.7.1 your domain is not welcome")

    create_clients(user, 10)
    mailing = due_mailing(user)
    with scripted_server(refuse) as port:
        mail_port(port)
        start(mailing)

    session.refresh(mailing)
    assert mailing.state is MailingState.PAUSED
    assert mailing.state_reason == "refused: 550 5.7.1 your domain is not welcome"
    assert states(session, only_run(session)) == {"pending": 10}


def test_the_content_is_the_snapshot_that_the_run_started_with(
    app: Flask, session: Session, user: User, work: Work, smtp: SmtpServer
) -> None:
    ClientFactory.create(owner=user)
    mailing = due_mailing(user)
    with app.app_context():
        run_id = plan.start_due_run(mailing.id, utcnow())
        mailing.message.subject = "changed meanwhile"
        session.flush()
        assert run_id is not None
        jobs.hint_run(run_id)
    work()

    assert smtp.letters[0].parsed["Subject"].startswith("Привет")


def test_a_recurring_mailing_goes_on_to_its_next_day(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    begin = utcnow().replace(microsecond=0)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=begin,
        next_run_at=begin,
        ends_at=begin + timedelta(days=2, hours=1),
    )
    start(mailing)
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.SCHEDULED, begin + timedelta(days=1))

    for days in (1, 2, 3):
        with time_machine.travel(begin + timedelta(days=days, seconds=1)):
            sweep()

    slots = session.scalars(select(Run.scheduled_for).order_by(Run.scheduled_for)).all()
    assert slots == [begin + timedelta(days=days) for days in (0, 1, 2)]
    assert smtp.per_address() == {client.email: 3}
    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED


def test_missed_days_are_made_up_for_once(
    session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    client = ClientFactory.create(owner=user)
    begin = utcnow().replace(microsecond=0)
    mailing = due_mailing(
        user,
        periodicity=Periodicity.DAILY,
        starts_at=begin,
        next_run_at=begin,
        ends_at=begin + timedelta(days=30),
    )

    with time_machine.travel(begin + timedelta(days=5, hours=3)):
        sweep()
        sweep()

    assert smtp.per_address() == {client.email: 1}
    session.refresh(mailing)
    assert mailing.next_run_at == begin + timedelta(days=6)


def test_an_emptied_redis_only_delays(
    session: Session, user: User, start: Start, sweep: Work, smtp: SmtpServer, redis_server: RedisServer
) -> None:
    create_clients(user, 3)
    mailing = due_mailing(user)
    redis_server.client.flushall()

    sweep()

    session.refresh(mailing)
    assert mailing.state is MailingState.FINISHED
    assert len(smtp.letters) == 3


def test_a_lease_of_which_no_journal_tells_ends_unknown(
    app: Flask, session: Session, user: User, sweep: Work, smtp: SmtpServer
) -> None:
    create_clients(user, 2)
    mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    long_ago: datetime = utcnow() - timedelta(minutes=1)
    session.execute(
        update(Delivery).values(state=DeliveryState.SENDING, lease_token="gone", lease_until=long_ago)
    )

    sweep()

    run = only_run(session)
    assert states(session, run) == {"unknown": 2}
    assert run.state is RunState.FINISHED
    check_ledger(session, run, smtp.letters)
