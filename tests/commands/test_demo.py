"""Test the `flask demo` command."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clients.letters import explain_run
from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter import Content, check_content
from skymailing.delivery.sequences.entering import list_steps
from skymailing.demo.texts import MESSAGES, Text
from skymailing.manager.owner_usage import measure_owners
from skymailing.models import (
    OPEN_DELIVERY_STATES,
    Article,
    Attempt,
    CallState,
    Client,
    ClientImport,
    Delivery,
    DeliveryState,
    Enrolment,
    EnrolmentState,
    Mailing,
    MailingState,
    Message,
    Origin,
    Outcome,
    Role,
    Run,
    RunState,
    Sequence,
    SequenceState,
    SignupForm,
    Suppression,
    User,
    WebhookCall,
)
from skymailing.quotas.counting import hour_of
from skymailing.sequences.queries import count_steps
from tests.support.servers import SmtpServer

# What the demo contains is decided in Python.
pytestmark = pytest.mark.one_engine


def run_demo(app: Flask) -> Result:
    result = app.test_cli_runner().invoke(args=["demo"])
    assert result.exit_code == 0, result.output
    return result


def count_everything(session: Session) -> dict[str, int]:
    models = (User, Client, Message, Mailing, Run, Delivery, Attempt, Suppression, Article)
    return {model.__name__: session.scalar(select(func.count()).select_from(model)) or 0 for model in models}


def test_the_printed_logins_work(app: Flask, session: Session) -> None:
    lines = re.findall(r"^(\w+)\s+(\S+@\S+)\s+(\S+)$", run_demo(app).output, re.MULTILINE)
    assert {role for role, _, _ in lines} >= {"user", "manager"}
    for _, email, password in lines:
        response = app.test_client().post("/auth/login", data={"email": email, "password": password})
        assert response.status_code == 302, email


@pytest.mark.both_engines
def test_the_demo_covers_all_states_roles_and_formats(app: Flask, session: Session) -> None:
    run_demo(app)
    count = count_everything(session)
    assert (count["Client"], count["Article"]) == (200, 5)
    assert session.scalar(select(User.role).where(User.email == "manager@example.com")) is Role.MANAGER
    states = Counter(session.scalars(select(Mailing.state)))
    assert set(states) == set(MailingState)
    texts = " ".join(session.scalars(select(Message.subject)))
    assert re.search("[а-я]{5}", texts)
    assert re.search("[a-z]{5}", texts)
    assert set(session.scalars(select(Message.format))) == {"markdown", "html", "text"}


@pytest.mark.both_engines
def test_a_second_run_adds_nothing_and_prints_the_same_output(app: Flask, session: Session) -> None:
    first = run_demo(app).output
    count = count_everything(session)
    assert run_demo(app).output == first
    assert count_everything(session) == count


@pytest.mark.both_engines
def test_the_demo_ledgers_balance(app: Flask, session: Session) -> None:
    run_demo(app)
    for run in session.scalars(select(Run)):
        states = Counter(session.scalars(select(Delivery.state).where(Delivery.run_id == run.id)))
        assert states.total() == run.planned
        assert explain_run(run) is not None
        assert run.language == session.get_one(Mailing, run.mailing_id).message.language
        has_open_deliveries = sum(states[state] for state in OPEN_DELIVERY_STATES) > 0
        assert has_open_deliveries == (run.state not in (RunState.FINISHED, RunState.CANCELLED))


def test_each_deliverys_attempts_match_its_count(app: Flask, session: Session) -> None:
    run_demo(app)
    attempt_counts = Counter(session.scalars(select(Attempt.delivery_id)))
    for delivery in session.scalars(select(Delivery)):
        assert attempt_counts[delivery.id] == delivery.attempts
    last_ids = select(func.max(Attempt.id)).group_by(Attempt.delivery_id)
    last_outcomes = session.execute(
        select(Delivery.state, Attempt.outcome)
        .join(Attempt, Attempt.delivery_id == Delivery.id)
        .where(Attempt.id.in_(last_ids), Delivery.state != DeliveryState.EXPIRED)
    )
    for state, outcome in last_outcomes:
        assert state.value == outcome.value
    assert list(session.scalars(select(Attempt.at).order_by(Attempt.id))) == sorted(
        session.scalars(select(Attempt.at))
    )


def test_clients_come_from_older_files_and_forms(app: Flask, session: Session) -> None:
    run_demo(app)
    files = {file.id: file for file in session.scalars(select(ClientImport))}
    forms = {form.id: form for form in session.scalars(select(SignupForm))}
    added: Counter[int] = Counter()
    for client in session.scalars(select(Client)):
        assert client.origin_id is not None
        source = files[client.origin_id] if client.origin == Origin.IMPORT else forms[client.origin_id]
        assert source.created_at < client.created_at <= utcnow()
        added[client.origin_id] += client.origin == Origin.IMPORT
    assert {id: file.created for id, file in files.items()} == +added
    letters = select(Delivery.id).join(Client, Client.id == Delivery.client_id).join(Run)
    assert session.scalars(letters.where(Run.started_at < Client.created_at)).all() == []


def test_the_numbers_of_the_sequence_agree_and_none_of_its_letters_is_overdue(
    app: Flask, session: Session
) -> None:
    run_demo(app)
    sequence = session.scalars(select(Sequence)).one()
    states = Counter(session.scalars(select(Enrolment.state)))
    assert (sequence.entered, sequence.done) == (states.total(), states[EnrolmentState.DONE])
    steps = list_steps(session, sequence.id)
    with app.app_context():
        counts = count_steps(sequence, steps)
    assert sum(count.waiting for count in counts.values()) == states[EnrolmentState.ACTIVE] > 0
    ahead = sequence.entered
    for step in steps:
        assert counts[step.id].sent == ahead - counts[step.id].waiting > 0
        ahead = counts[step.id].sent
    assert ahead == sequence.done
    due = session.scalars(select(Enrolment.due_at).where(Enrolment.state == EnrolmentState.ACTIVE)).all()
    assert all(at and utcnow() < at < utcnow() + timedelta(days=8) for at in due)
    assert sequence.state is SequenceState.PAUSED, "the demo sends nothing more of it"


def test_hourly_counts_agree_with_the_attempts(app: Flask, session: Session) -> None:
    run_demo(app)
    owner = session.scalars(select(User).where(User.email == "demo@example.com")).one()
    now = utcnow()
    recent = select(func.count()).select_from(Attempt).where(Attempt.number == 1)
    is_shown = Attempt.at >= hour_of(now - timedelta(days=30))
    letters = session.scalar(recent.where(is_shown)) or 0
    sent = session.scalar(select(func.count()).where(Attempt.outcome == Outcome.SENT, is_shown)) or 0
    with app.app_context():
        usage = measure_owners(now, [owner.id])[owner.id]
    assert usage.letters == letters > usage.letters_today > 0
    assert usage.accepted == sent > usage.accepted_today > 0
    assert 0 < usage.bounces < usage.letters // 20


def test_lists_by_id_are_in_order_of_time(app: Flask, session: Session) -> None:
    run_demo(app)
    starts = list(session.scalars(select(Run.started_at).order_by(Run.id)))
    assert starts == sorted(starts)


@pytest.mark.parametrize("text", MESSAGES, ids=lambda text: text.key)
def test_the_demo_messages_are_valid(text: Text) -> None:
    check_content(Content(text.subject, text.format, text.body))


def test_the_demo_has_a_webhook_with_calls(app: Flask, session: Session) -> None:
    run_demo(app)
    states = Counter(session.scalars(select(WebhookCall.state)))
    assert states[CallState.DELIVERED] > states[CallState.FAILED] > 0
    assert CallState.PENDING not in states, "nothing is called"


def test_no_attempt_has_a_future_time(app: Flask, session: Session) -> None:
    run_demo(app)
    assert max(session.scalars(select(Attempt.at))) <= utcnow()


def test_no_letters_are_sent_to_real_addresses(
    app: Flask, session: Session, smtp: SmtpServer, work: Callable[[], None]
) -> None:
    run_demo(app)
    work()
    addresses = list(session.scalars(select(Client.email))) + list(session.scalars(select(User.email)))
    assert all(re.search(r"@example\.(com|net|org)$", address) for address in addresses)
    assert smtp.letters == []


def test_an_existing_account_is_not_changed(app: Flask, session: Session) -> None:
    app.test_cli_runner().invoke(
        args=["users", "create", "manager@example.com", "--role", "manager", "--password", "my own one here"]
    )
    assert "(password changed)" in run_demo(app).output


@pytest.mark.both_engines
def test_every_page_opens_with_demo_data(app: Flask, session: Session) -> None:
    password = re.search(r"^user\s+\S+\s+(\S+)$", run_demo(app).output, re.MULTILINE)
    assert password
    browser = app.test_client()
    browser.post("/auth/login", data={"email": "demo@example.com", "password": password[1]})
    for page in ("/", "/clients/", "/messages/", "/mailings/", "/logs/"):
        assert browser.get(page).status_code == 200, page
