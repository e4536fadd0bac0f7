"""Test with a real Postfix, which returns letters that the next server refuses (`make soak`)."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.commands.bounces import make_store
from skymailing.delivery import plan
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.delivery.send import send_slice
from skymailing.models import Bounce, DeliveryState, Proof, Route, Suppression, User
from skymailing.monitoring.doctor.run import run_checks
from tests.delivery.ledger import count_states, get_only_run
from tests.faults.workers import add_clients, live_run
from tests.processes.service import wait_until
from tests.returns.scenes import run_listener
from tests.support.factories import due_mailing
from tests.support.mail_servers import Postfix
from tests.support.servers import Letter, SmtpServer

pytestmark = [pytest.mark.soak, pytest.mark.one_engine]


def find_returned(smtp: SmtpServer) -> list[Letter]:
    """Return the letters with an empty envelope sender."""
    return [letter for letter in smtp.letters if letter.sender in ("", "<>")]


def test_a_client_whose_letter_postfix_returns_is_suppressed(
    app: Flask,
    environment: dict[str, str],
    session: Session,
    user: User,
    browser: FlaskClient,
    smtp: SmtpServer,
) -> None:
    add_clients(session, user, 3)
    smtp.rcpt_replies["c1@example.org"] = "550 5.1.1 no such user here"
    # Postfix accepts every letter, passes it on, and reports what the next server says.
    relay = (
        f"default_transport = smtp\nrelayhost = [127.0.0.1]:{smtp.port}\nsmtp_connection_cache_on_demand = no"
    )
    with Postfix(relay) as postfix:
        settings = environment | {"MAIL_PORT": str(postfix.port)}
        with live_run(app, settings, session, due_mailing(user), 1) as run:
            wait_until(lambda: smtp.letters, "the first letter", 120)
            run.finish(120)
        wait_until(lambda: find_returned(smtp), "Postfix has returned the letter", 60)

    (returned,) = find_returned(smtp)
    for _ in range(2):  # as after a crash of the mail server
        result = app.test_cli_runner().invoke(args=["bounces", "ingest"], input=returned.content)
        assert (result.exit_code, result.output.split()[-1]) == (0, "understood")

    session.expire_all()
    assert count_states(session, get_only_run(session)) == {DeliveryState.SENT: 3}
    bounce = session.scalars(select(Bounce)).one()
    assert (bounce.status, bounce.email_key) == ("5.1.1", "c1@example.org")
    assert "no such user here" in bounce.diagnostic
    suppression = session.scalars(select(Suppression)).one()
    assert (suppression.email_key, suppression.reason) == ("c1@example.org", "bounced")
    assert "returned later</a>: <strong>" in browser.get(f"/mailings/runs/{bounce.run_id}").text


def test_postfix_keeps_return_paths_with_a_token_and_returns_letters_to_them(
    app: Flask, session: Session, user: User, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "MAIL_BOUNCE_ADDRESS", "bounces@sky.example")
    smtp.rcpt_replies["c1@example.org"] = "550 5.1.1 no such user here"

    def is_proven() -> bool:
        session.expire_all()
        return session.get_one(Route, "primary").bounce_address == "bounces@sky.example"

    def find_bounces() -> list[Bounce]:
        session.expire_all()
        return list(session.scalars(select(Bounce)))

    with run_listener(make_store(app)) as port:
        relay = (
            f"default_transport = smtp\nrelayhost = [127.0.0.1]:{smtp.port}\n"
            f"transport_maps = inline:{{sky.example=lmtp:inet:127.0.0.1:{port}}}"
        )
        with Postfix(relay) as postfix:
            monkeypatch.setattr(app.extensions["mail"], "port", postfix.port)
            with app.app_context():
                close_dispatcher()
                first = run_checks(["return-path"])
                wait_until(is_proven, "the test letter has arrived with its return path", 60)
                second = run_checks(["return-path"])
                add_clients(session, user, 3)
                run_id = plan.start_due_run(due_mailing(user).id, utcnow())
                assert run_id is not None
                send_slice(run_id, lambda _elapsed: False)
                close_dispatcher()
            wait_until(find_bounces, "Postfix has returned the letter", 60)
            wait_until(lambda: len(smtp.letters) == 2, "the other letters have arrived", 60)

    assert [check.is_known for check in (*first, *second)] == [False, True]
    assert all(letter.sender.startswith("bounces+") for letter in smtp.letters)
    (bounce,) = find_bounces()
    assert (bounce.email_key, bounce.proof, bounce.status) == ("c1@example.org", Proof.SIGNED, "5.1.1")
