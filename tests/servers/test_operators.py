"""Test servers for all users: the command, the doctor and the metrics."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.routing import routes
from skymailing.extensions import db
from skymailing.models import SmtpServer, User
from skymailing.monitoring.doctor.mail_servers import check_common_servers
from tests.faults.sink import Sink
from tests.servers.conftest import MakeSender, MakeServer
from tests.support.factories import UserFactory

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


def run(app: Flask, *arguments: str, password: str = "") -> str:
    result = app.test_cli_runner().invoke(args=["servers", *arguments], input=f"{password}\n")
    return str(result.output)


def test_operators_offer_a_server_to_all_users(
    app: Flask, session: Session, sink: Sink, user: User, make_sender: MakeSender, work: Work
) -> None:
    access = ("--host", "127.0.0.1", "--port", str(sink.port), "--security", "none")
    added = run(
        app, "add", "--everybody", "--name", "Common", *access, "--username", "sky", password="word-1234"
    )
    assert "was added" in added
    work()
    listed = run(app, "list")
    assert "Common" in listed
    assert "everybody  works: sink" in listed
    server = session.scalars(select(SmtpServer)).one()
    assert (server.owner_id, server.has_passed) == (None, True)
    assert "word-1234" not in listed + added + server.encrypted_password
    sender = make_sender(user, server)
    assert sender.address in run(app, "delete", str(server.id))
    sender.server_id = None
    session.flush()
    assert "Deleted" in run(app, "delete", str(server.id))


def test_operators_do_not_see_or_delete_what_belongs_to_a_user(
    app: Flask, user: User, make_server: MakeServer
) -> None:
    server = make_server(user, 587, test_answer="220 secret greeting")
    listed = run(app, "list")
    assert user.email in listed
    assert "secret greeting" not in listed
    assert "There is no mail server" in run(app, "delete", str(server.id))


def test_the_doctor_checks_only_the_servers_for_all_users(
    app: Flask, session: Session, sink: Sink, user: User, make_server: MakeServer
) -> None:
    make_server(user, 1)
    common = make_server(None, sink.port, name="Common")
    with app.app_context():
        (check,) = check_common_servers()
        assert (check.is_ok, "Common" in check.finding) == (True, True)
        common.host = "localhost"  # the certificate has another name
        session.flush()
        (check,) = check_common_servers()
        assert "certificate is not valid" in check.finding
        assert f"servers delete {common.id}" in check.advice


def test_metrics_count_users_servers_without_a_label_for_each(
    app: Flask, session: Session, make_server: MakeServer
) -> None:
    with app.app_context():
        for _ in range(3):
            server = make_server(UserFactory.create(), 587)
            routes.report_fault(server.route, routes.Fault(535, "535 no"), utcnow())
        routes.report_fault(routes.PRIMARY, routes.Fault(535, "535 no"), utcnow())
        db.session.rollback()
    text = app.test_client().get("/metrics").text
    assert 'skymailing_user_servers{state="open"} 3.0' in text
    assert 'route="primary"' in text
    assert "server-" not in text
