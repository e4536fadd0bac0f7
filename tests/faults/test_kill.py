"""Test that the ledger stays correct and no letter is repeated when workers are killed (fault 21)."""

import random

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import Client, OnUnknown, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.sink import Sink
from tests.faults.workers import add_clients, check_after_kills, kill, live_run, wait_for_letters
from tests.support.factories import due_mailing
from tests.support.servers import SmtpServer


@pytest.mark.parametrize(
    ("recipients", "kills"),
    [
        pytest.param(1000, 4, id="four-times"),
        pytest.param(20_000, 100, id="a-hundred-times", marks=pytest.mark.soak),
    ],
)
def test_21_a_run_survives_the_death_of_its_workers(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    user: User,
    smtp: SmtpServer,
    recipients: int,
    kills: int,
) -> None:
    add_clients(session, user, recipients)
    with live_run(app, environment, session, due_mailing(user, on_unknown=OnUnknown.HOLD)) as run:
        run.finish_despite_kills(smtp, recipients, kills)

    check_after_kills(session, smtp, recipients, kills)


@pytest.mark.one_engine  # rates are counted in Redis
def test_21_killed_workers_neither_exceed_a_domains_limit_nor_delay_other_domains(
    app: Flask, environment: dict[str, str], session: Session, user: User
) -> None:
    """Letters to the limited domain come first; two workers share its rate and are killed."""
    rate, slow, others = 15, 60, 300
    addresses = [f"c{number}@slow.example" for number in range(slow)]
    addresses += [f"c{number}@{number}.example" for number in range(others)]
    for address in addresses:
        session.add(Client(owner_id=user.id, email=address, email_key=address))
        session.flush()
    with Sink() as sink:
        limited = {"MAIL_PORT": str(sink.port), "MAIL_RATE_PER_DOMAIN": str(rate), "WORKERS": "2"}
        mailing = due_mailing(user, on_unknown=OnUnknown.HOLD)
        with live_run(app, environment | limited, session, mailing) as run:
            for target in (20, 200):
                wait_for_letters(sink, target)
                kill(random.choice(run.workers))
                run.sweep()
            run.finish()

    run_row = get_only_run(session)
    counts = count_states(session, run_row)
    check_ledger(session, run_row, sink.letters)
    assert counts["sent"] + counts.get("unknown", 0) == slow + others
    assert set(sink.per_address().values()) == {1}
    start_times = [at for at, recipient in sink.started if recipient.endswith("slow.example")]
    gaps = [later - earlier for earlier, later in zip(start_times, start_times[2 * rate :], strict=False)]
    assert min(gaps) > 0.5, "any one-second period overlaps at most two clock seconds"
