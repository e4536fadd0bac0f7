"""Test letters with unknown delivery: the owner's decision to resend or leave them, and late results."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import open_runs, record
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.extensions import db
from skymailing.models import (
    COUNTED_STATES,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Outcome,
    Run,
    RunState,
    StateReason,
    User,
)
from tests.delivery.ledger import get_accepted, get_stored_counts
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, create_run
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def test_letters_in_the_mail_servers_log_are_recorded_as_sent(
    app: Flask, session: Session, mailing: Mailing
) -> None:
    run = get_last_run(session)
    unknowns = session.scalars(
        select(Delivery).where(Delivery.run_id == run.id, Delivery.state == DeliveryState.UNKNOWN)
    ).all()
    confirmed, other = unknowns

    result = app.test_cli_runner().invoke(
        args=["mailings", "confirm", str(mailing.id), "-"],
        input=f"<{confirmed.email.upper()}>\n\nno-one@elsewhere.example\n",
    )

    assert result.exit_code == 0, result.output
    assert "Unknown letters recorded as sent: 1" in result.output
    session.expire_all()
    assert (confirmed.state, other.state) == (DeliveryState.SENT, DeliveryState.UNKNOWN)
    assert confirmed.finished_at is not None
    counts = get_stored_counts(session, run)
    assert (counts["sent"], counts["unknown"]) == (2, 1)
    repeated = app.test_cli_runner().invoke(
        args=["mailings", "confirm", str(mailing.id), "-"], input=confirmed.email
    )
    assert "recorded as sent: 0" in repeated.output
    assert get_accepted(session, mailing.owner_id) == 1


@pytest.mark.parametrize("decision", ["resend", "leave", "confirm"])
def test_the_restore_notice_disappears_after_all_decisions(
    app: Flask, session: Session, browser: FlaskClient, mailing: Mailing, decision: str
) -> None:
    mailing.state_reason = f"{StateReason.RESTORED}: {utcnow().isoformat(timespec='seconds')}"
    session.flush()
    notice = "nothing is sent until you decide"
    assert notice in get_main_text(browser.get(f"/mailings/{mailing.id}"))

    if decision == "confirm":
        is_unknown = Delivery.state == DeliveryState.UNKNOWN
        is_in_last_run = Delivery.run_id == get_last_run(session).id
        for email in session.scalars(select(Delivery.email).where(is_in_last_run, is_unknown)).all():
            assert notice in get_main_text(browser.get(f"/mailings/{mailing.id}"))
            arguments = ["mailings", "confirm", str(mailing.id), "-"]
            assert app.test_cli_runner().invoke(args=arguments, input=email).exit_code == 0
    else:
        decide(browser, mailing, decision)

    assert notice not in get_main_text(browser.get(f"/mailings/{mailing.id}"))


@pytest.fixture
def mailing(user: User) -> Mailing:
    """Create a finished mailing in whose last run two letters have unknown delivery."""
    mailing: Mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.UNKNOWN: 3}, scheduled_for=utcnow() - timedelta(days=7))
    create_run(mailing, {DeliveryState.UNKNOWN: 2, DeliveryState.SENT: 1}, scheduled_for=utcnow())
    return mailing


def decide(browser: FlaskClient, mailing: Mailing, decision: str) -> str:
    path = f"/mailings/{mailing.id}/settle-unknowns"
    return get_main_text(browser.post(path, data={"decision": decision}, follow_redirects=True))


def get_last_run(session: Session) -> Run:
    session.expire_all()
    return session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()


def read_unknown_finished_at(session: Session) -> list[datetime | None]:
    """Return when the last run's unknown deliveries were finished."""
    statement = select(Delivery.finished_at).where(
        Delivery.run_id == get_last_run(session).id, Delivery.state == DeliveryState.UNKNOWN
    )
    return list(session.scalars(statement))


def test_the_confirmation_page_shows_the_count_and_warns_of_duplicates(
    browser: FlaskClient, mailing: Mailing
) -> None:
    page = browser.get(f"/mailings/{mailing.id}/settle-unknowns")
    assert "2 unclear emails" in get_main_text(page)
    assert "some may get it twice" in get_main_text(page)
    assert {button["value"] for button in soup(page).select("main button[name=decision]")} == {
        "resend",
        "leave",
    }


def test_only_the_unknown_letters_are_resent_and_only_once(
    browser: FlaskClient, mailing: Mailing, session: Session, smtp: SmtpServer, work: Work
) -> None:
    assert "2 unclear emails will be sent again" in decide(browser, mailing, "resend")
    session.refresh(mailing)
    assert (mailing.state, get_last_run(session).state) == (MailingState.RUNNING, RunState.SENDING)
    assert "No emails need your decision" in decide(browser, mailing, "resend"), "pressed twice"
    work()
    assert "No emails need your decision" in decide(browser, mailing, "resend")
    work()

    assert len(smtp.letters) == 2
    assert set(smtp.per_address().values()) == {1}
    session.refresh(mailing)
    run = get_last_run(session)
    assert (mailing.state, run.state) == (MailingState.FINISHED, RunState.FINISHED)
    states = session.scalars(select(Delivery.state).where(Delivery.run_id == run.id))
    assert set(states) == {DeliveryState.SENT}


def test_letters_that_are_left_stay_unknown_and_need_no_further_decision(
    browser: FlaskClient, mailing: Mailing, session: Session, smtp: SmtpServer, work: Work
) -> None:
    assert 'id="do-settle-unknowns"' in browser.get(f"/mailings/{mailing.id}").text
    assert "2 unclear emails will not be sent" in decide(browser, mailing, "leave")
    finished_at = read_unknown_finished_at(session)
    assert None not in finished_at
    for decision in ("leave", "resend"):
        assert "No emails need your decision" in decide(browser, mailing, decision), (
            "from a tab opened earlier"
        )
    work()

    assert read_unknown_finished_at(session) == finished_at
    assert not smtp.letters
    session.refresh(mailing)
    assert (mailing.state, get_last_run(session).state) == (MailingState.FINISHED, RunState.FINISHED)
    page = browser.get(f"/mailings/{mailing.id}")
    assert 'id="do-settle-unknowns"' not in page.text
    assert "2 unclear emails will not be sent" in get_main_text(page)
    assert browser.get(f"/mailings/{mailing.id}/settle-unknowns").status_code == 302


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": MailingState.CANCELLED}, "There is no send to repeat"),
        ({"ends_at": utcnow() - timedelta(seconds=1)}, "This mailing has ended"),
    ],
)
def test_unknown_letters_in_an_ended_mailing_can_only_be_left(
    browser: FlaskClient, mailing: Mailing, session: Session, changes: dict[str, object], expected: str
) -> None:
    for name, value in changes.items():
        setattr(mailing, name, value)
    session.flush()
    page = browser.get(f"/mailings/{mailing.id}/settle-unknowns")
    assert 'value="resend"' not in page.text
    assert 'value="leave"' in page.text
    assert "Dismiss" in get_main_text(page)
    assert "Do not send again" not in get_main_text(page)
    overview = get_main_text(browser.get(f"/mailings/{mailing.id}"))
    assert "2 emails are unclear: they may or may not have arrived" in overview
    assert "Decide what to do" not in overview
    assert expected in decide(browser, mailing, "resend")
    assert read_unknown_finished_at(session) == [None, None]
    decide(browser, mailing, "leave")
    assert None not in read_unknown_finished_at(session)


@pytest.mark.parametrize("decision", ["resend", "leave"])
def test_unknown_letters_in_a_disabled_mailing_cannot_be_decided(
    browser: FlaskClient, mailing: Mailing, session: Session, decision: str
) -> None:
    mailing.disabled_at, mailing.disabled_reason = utcnow(), "complaints"
    session.flush()
    assert "complaints" in decide(browser, mailing, decision)
    assert read_unknown_finished_at(session) == [None, None]
    assert 'id="do-settle-unknowns"' not in browser.get(f"/mailings/{mailing.id}").text


def test_a_request_without_a_decision_is_rejected(
    browser: FlaskClient, mailing: Mailing, session: Session
) -> None:
    path = f"/mailings/{mailing.id}/settle-unknowns"
    assert browser.post(path, data={"decision": "burn"}).status_code == 400
    assert browser.post(path).status_code == 400
    assert read_unknown_finished_at(session) == [None, None]


def test_letters_to_deleted_clients_are_not_resent(
    browser: FlaskClient, mailing: Mailing, session: Session, smtp: SmtpServer, work: Work
) -> None:
    run = get_last_run(session)
    for state in (DeliveryState.UNKNOWN, DeliveryState.FAILED):
        DeliveryFactory.create(run=run, client_id=None, email=f"{state}@gone.example", state=state)
    assert "2 unclear emails will be sent again" in decide(browser, mailing, "resend")
    work()
    browser.post(f"/mailings/{mailing.id}/resend-failed")
    work()
    assert not [address for address in smtp.per_address() if address.endswith("gone.example")]
    assert "No emails need your decision" in decide(browser, mailing, "resend")


@pytest.mark.parametrize("before", ["waiting", "left", "to be resent"])
def test_a_late_result_finishes_an_unknown_delivery_after_any_decision(
    app: Flask, session: Session, user: User, before: str
) -> None:
    now = utcnow()
    decisions: dict[str, dict[str, object]] = {
        "waiting": {},
        "left": {"finished_at": now - timedelta(minutes=1)},
        "to be resent": {"state": DeliveryState.DEFERRED, "due_at": now},
    }
    run = create_run(MailingFactory.create(owner=user, state=MailingState.RUNNING), {})
    delivery = DeliveryFactory.create(
        run=run,
        **{"state": DeliveryState.UNKNOWN, "lease_token": "ours", "unknowns": 1, "attempts": 1}
        | decisions[before],
    )
    AttemptFactory.create(delivery=delivery, outcome=Outcome.UNKNOWN, code=None, answer="assumed")
    result = Result(Letter(delivery.id, 1, delivery.email, b""), Verdict.SENT, 250, "2.0.0 Ok")
    with app.app_context(), db.engine.begin() as connection:
        record.record_results(
            connection, open_runs.load_run(connection, run.id), "ours", [result], {}, "primary", now
        )
    session.expire_all()
    assert (delivery.state, delivery.finished_at, delivery.due_at) == (DeliveryState.SENT, now, None)
    assert get_stored_counts(session, run) == {
        state.value: int(state is DeliveryState.SENT) for state in COUNTED_STATES
    }
