"""Test that an owner's mailings are paused when the mail server refuses too many of the addresses."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import AuditAction, AuditEntry, Mailing, MailingState, OutboxLetter, User
from tests.delivery.conftest import Work
from tests.delivery.ledger import count_states, get_only_run
from tests.support.factories import MailingFactory, UserFactory, create_clients, due_mailing
from tests.support.servers import SmtpServer

DEAD = "550 5.1.1 user unknown"


def test_too_many_dead_addresses_pause_all_mailings_until_their_owner_resumes_them(
    session: Session, user: User, browser: FlaskClient, sweep: Work, smtp: SmtpServer
) -> None:
    mailing = due_mailing(user)
    planned = MailingFactory.create(owner=user, state=MailingState.SCHEDULED)
    draft = MailingFactory.create(owner=user)
    stranger = MailingFactory.create(owner=UserFactory.create(), state=MailingState.SCHEDULED)
    clients = create_clients(user, 400)
    for client in [*clients[8:104:8], *clients[300:309]]:
        smtp.rcpt_replies[client.email] = DEAD
    sweep()

    session.expire_all()
    assert {mailing.state, planned.state} == {MailingState.PAUSED}
    assert (draft.state, stranger.state) == (MailingState.DRAFT, MailingState.SCHEDULED)
    code, _, share = mailing.state_reason.partition(": ")
    bounces, letters = map(int, share.split("/"))
    assert (code, planned.state_reason) == ("too-many-bounces", mailing.state_reason)
    assert 10 <= bounces <= 12
    assert 100 <= letters < 300
    counts = count_states(session, get_only_run(session))
    assert (counts["failed"], counts["pending"]) == (bounces, 400 - letters)

    sweep()
    (notice,) = session.scalars(select(OutboxLetter).where(OutboxLetter.template == "mailings-paused"))
    body = " ".join(smtp.letters[-1].text.split())
    sentence = f"{bounces} of your last {letters} emails went to addresses that do not exist"
    assert notice.to == user.email
    assert sentence in body
    assert sentence in browser.get(f"/mailings/{mailing.id}").text

    browser.post(f"/mailings/{mailing.id}/resume")
    sweep()
    session.expire_all()
    # Nine more dead addresses are too few, because the count starts again after the pause.
    assert mailing.state is MailingState.FINISHED
    assert count_states(session, get_only_run(session)) == {"sent": 379, "failed": 21}
    assert planned.state is MailingState.PAUSED
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == AuditAction.MAILING_RESUMED)).one()
    assert (entry.target_id, entry.reason) == (mailing.id, f"too-many-bounces: {share}")


@pytest.mark.one_engine
@pytest.mark.parametrize(("dead", "percent"), [(9, 5.0), (20, 0.0)])
def test_a_few_dead_addresses_or_no_limit_pause_nothing(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    session: Session,
    user: User,
    sweep: Work,
    smtp: SmtpServer,
    dead: int,
    percent: float,
) -> None:
    settings = replace(app.config["REPUTATION"], pause_at_bounces=percent)
    monkeypatch.setitem(app.config, "REPUTATION", settings)
    due_mailing(user)
    for client in create_clients(user, 120)[::2][:dead]:
        smtp.rcpt_replies[client.email] = DEAD
    sweep()

    assert session.scalars(select(Mailing.state)).one() is MailingState.FINISHED
