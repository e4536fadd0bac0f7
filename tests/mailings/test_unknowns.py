"""Letters with unknown delivery: the owner's decision to resend or leave them, and late results."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.ledger import claims, record
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
from tests.delivery.ledger import get_stored_counts
from tests.mailings.pages import main, soup
from tests.support.factories import AttemptFactory, DeliveryFactory, MailingFactory, create_run
from tests.support.servers import SmtpServer

Work = Callable[[], None]


def test_letters_in_the_mail_servers_log_are_recorded_as_sent(
    app: Flask, session: Session, mailing: Mailing
) -> None:
    run = last_run(session)
    unknowns = session.scalars(
        select(Delivery).where(Delivery.run_id == run.id, Delivery.state == DeliveryState.UNKNOWN)
    ).all()
    known, other = unknowns

    result = app.test_cli_runner().invoke(
        args=["mailings", "confirm", str(mailing.id), "-"],
        input=f"<{known.email.upper()}>\n\nno-one@elsewhere.example\n",
    )

    assert result.exit_code == 0, result.output
    assert "Unknown letters recorded as sent: 1" in result.output
    session.expire_all()
    assert (known.state, other.state) == (DeliveryState.SENT, DeliveryState.UNKNOWN)
    assert known.finished_at is not None
    counts = get_stored_counts(session, run)
    assert (counts["sent"], counts["unknown"]) == (2, 1)
    again = app.test_cli_runner().invoke(
        args=["mailings", "confirm", str(mailing.id), "-"], input=known.email
    )
    assert "recorded as sent: 0" in again.output


@pytest.mark.parametrize("decision", ["resend", "leave", "confirm"])
def test_the_restore_notice_disappears_once_everything_is_decided(
    app: Flask, session: Session, browser: FlaskClient, mailing: Mailing, decision: str
) -> None:
    mailing.state_reason = f"{StateReason.RESTORED}: {utcnow().isoformat(timespec='seconds')}"
    session.flush()
    notice = "nothing is sent until you decide"
    assert notice in main(browser.get(f"/mailings/{mailing.id}"))

    if decision == "confirm":
        is_unknown = Delivery.state == DeliveryState.UNKNOWN
        in_last = Delivery.run_id == last_run(session).id
        for email in session.scalars(select(Delivery.email).where(in_last, is_unknown)).all():
            assert notice in main(browser.get(f"/mailings/{mailing.id}"))
            confirm = ["mailings", "confirm", str(mailing.id), "-"]
            assert app.test_cli_runner().invoke(args=confirm, input=email).exit_code == 0
    else:
        decide(browser, mailing, decision)

    assert notice not in main(browser.get(f"/mailings/{mailing.id}"))


@pytest.fixture
def mailing(user: User) -> Mailing:
    """A finished mailing; two letters of its last run have unknown delivery."""
    mailing: Mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.UNKNOWN: 3}, scheduled_for=utcnow() - timedelta(days=7))
    create_run(mailing, {DeliveryState.UNKNOWN: 2, DeliveryState.SENT: 1}, scheduled_for=utcnow())
    return mailing


def decide(browser: FlaskClient, mailing: Mailing, decision: str) -> str:
    path = f"/mailings/{mailing.id}/settle-unknowns"
    return main(browser.post(path, data={"decision": decision}, follow_redirects=True))


def last_run(session: Session) -> Run:
    session.expire_all()
    return session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()


def unknown_finished_at(session: Session) -> list[datetime | None]:
    """Return when the last run's unknown deliveries were finished."""
    statement = select(Delivery.finished_at).where(
        Delivery.run_id == last_run(session).id, Delivery.state == DeliveryState.UNKNOWN
    )
    return list(session.scalars(statement))


def test_the_question_shows_the_count_and_warns_of_duplicates(browser: FlaskClient, mailing: Mailing) -> None:
    page = browser.get(f"/mailings/{mailing.id}/settle-unknowns")
    assert "2 letters with unknown delivery" in main(page)
    assert "some may get it twice" in main(page)
    assert {button["value"] for button in soup(page).select("main button[name=decision]")} == {
        "resend",
        "leave",
    }


def test_only_the_unknown_letters_are_resent_and_only_once(
    browser: FlaskClient, mailing: Mailing, session: Session, smtp: SmtpServer, work: Work
) -> None:
    assert "2 letters with unknown delivery will be sent again" in decide(browser, mailing, "resend")
    session.refresh(mailing)
    assert (mailing.state, last_run(session).state) == (MailingState.RUNNING, RunState.SENDING)
    assert "No letters need your decision" in decide(browser, mailing, "resend"), "pressed twice"
    work()
    assert "No letters need your decision" in decide(browser, mailing, "resend")
    work()

    assert len(smtp.letters) == 2
    assert set(smtp.per_address().values()) == {1}
    session.refresh(mailing)
    run = last_run(session)
    assert (mailing.state, run.state) == (MailingState.FINISHED, RunState.FINISHED)
    states = session.scalars(select(Delivery.state).where(Delivery.run_id == run.id))
    assert set(states) == {DeliveryState.SENT}


def test_left_letters_stay_unknown_and_the_question_is_not_repeated(
    browser: FlaskClient, mailing: Mailing, session: Session, smtp: SmtpServer, work: Work
) -> None:
    assert 'id="do-settle-unknowns"' in browser.get(f"/mailings/{mailing.id}").text
    assert "2 letters with unknown delivery will not be sent again" in decide(browser, mailing, "leave")
    settled = unknown_finished_at(session)
    assert None not in settled
    for decision in ("leave", "resend"):
        assert "No letters need your decision" in decide(browser, mailing, decision), "a tab from before"
    work()

    assert unknown_finished_at(session) == settled
    assert not smtp.letters
    session.refresh(mailing)
    assert (mailing.state, last_run(session).state) == (MailingState.FINISHED, RunState.FINISHED)
    page = browser.get(f"/mailings/{mailing.id}")
    assert 'id="do-settle-unknowns"' not in page.text
    assert "2 letters with unknown delivery will not be sent again" in main(page)
    assert browser.get(f"/mailings/{mailing.id}/settle-unknowns").status_code == 302


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": MailingState.CANCELLED}, "no run whose letters can be sent again"),
        ({"ends_at": utcnow() - timedelta(seconds=1)}, "This mailing has ended"),
    ],
)
def test_unknown_letters_of_an_ended_mailing_can_only_be_left(
    browser: FlaskClient, mailing: Mailing, session: Session, changes: dict[str, object], words: str
) -> None:
    for name, value in changes.items():
        setattr(mailing, name, value)
    session.flush()
    page = browser.get(f"/mailings/{mailing.id}/settle-unknowns")
    assert 'value="resend"' not in page.text
    assert 'value="leave"' in page.text
    assert words in decide(browser, mailing, "resend")
    assert unknown_finished_at(session) == [None, None]
    decide(browser, mailing, "leave")
    assert None not in unknown_finished_at(session)


@pytest.mark.parametrize("decision", ["resend", "leave"])
def test_unknown_letters_of_a_disabled_mailing_cannot_be_decided(
    browser: FlaskClient, mailing: Mailing, session: Session, decision: str
) -> None:
    mailing.disabled_at, mailing.disabled_reason = utcnow(), "complaints"
    session.flush()
    assert "complaints" in decide(browser, mailing, decision)
    assert unknown_finished_at(session) == [None, None]
    assert 'id="do-settle-unknowns"' not in browser.get(f"/mailings/{mailing.id}").text


def test_a_request_without_a_decision_is_refused(
    browser: FlaskClient, mailing: Mailing, session: Session
) -> None:
    path = f"/mailings/{mailing.id}/settle-unknowns"
    assert browser.post(path, data={"decision": "burn"}).status_code == 400
    assert browser.post(path).status_code == 400
    assert unknown_finished_at(session) == [None, None]


def test_letters_to_deleted_clients_are_not_resent(
    browser: FlaskClient, mailing: Mailing, session: Session, smtp: SmtpServer, work: Work
) -> None:
    run = last_run(session)
    for state in (DeliveryState.UNKNOWN, DeliveryState.FAILED):
        DeliveryFactory.create(run=run, client_id=None, email=f"{state}@gone.example", state=state)
    assert "2 letters with unknown delivery will be sent again" in decide(browser, mailing, "resend")
    work()
    browser.post(f"/mailings/{mailing.id}/resend-failed")
    work()
    assert not [address for address in smtp.per_address() if address.endswith("gone.example")]
    assert "No letters need your decision" in decide(browser, mailing, "resend")


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
            connection, claims.load_run(connection, run.id), "ours", [result], {}, "primary", now
        )
    session.expire_all()
    assert (delivery.state, delivery.finished_at, delivery.due_at) == (DeliveryState.SENT, now, None)
    assert get_stored_counts(session, run) == {
        state.value: int(state is DeliveryState.SENT) for state in COUNTED_STATES
    }
