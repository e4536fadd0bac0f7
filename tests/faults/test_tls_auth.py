"""Test invalid certificates, missing STARTTLS and refused passwords (faults 18 and 19)."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.delivery.smtp import connection
from skymailing.models import Attempt, Route, User
from tests.delivery.ledger import check_ledger, count_states, get_only_run
from tests.faults.conftest import Engine
from tests.faults.sink import Sink, Stage, Turn
from tests.support.factories import create_clients, due_mailing

# Sessions with a mail server do not depend on the database.
pytestmark = pytest.mark.one_engine

RECIPIENTS = 5
EXTENSIONS = ("PIPELINING", "STARTTLS", "AUTH PLAIN LOGIN")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def _trust(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    connection.verifying_context.cache_clear()
    yield
    connection.verifying_context.cache_clear()


def make_server_context(
    authority: trustme.CA, name: str = "localhost", not_after: datetime | None = None
) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    not_before = datetime(2020, 1, 1, tzinfo=UTC)
    authority.issue_cert(name, not_before=not_before, not_after=not_after).configure_cert(context)
    return context


@pytest.mark.parametrize(
    "flaw", ["expired", "for-another-host", "from-an-unknown-authority", "starttls-missing"]
)
def test_18_nothing_is_sent_without_a_valid_certificate(
    session: Session, user: User, engine: Engine, authority: trustme.CA, flaw: str
) -> None:
    clients = create_clients(user, RECIPIENTS)
    good = make_server_context(authority)
    bad = {
        "expired": make_server_context(authority, not_after=datetime.now(UTC) - timedelta(days=1)),
        "for-another-host": make_server_context(authority, "elsewhere.example"),
        "from-an-unknown-authority": make_server_context(trustme.CA()),
        "starttls-missing": good,
    }[flaw]
    extensions = tuple(name for name in EXTENSIONS if flaw != "starttls-missing" or name != "STARTTLS")

    with Sink(tls=bad, extensions=extensions) as sink:
        engine.use_server(sink.port, server="localhost", use_tls=True, username="sky", password="s3cret")
        engine.start(due_mailing(user))
        for _ in range(5):
            engine.sweep()
    assert not sink.letters
    assert not {Stage.AUTH, Stage.MAIL} & set(sink.stage_counts)
    assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
    assert session.scalar(select(func.count()).select_from(Attempt)) == 0
    route = session.execute(select(Route)).scalar_one()
    assert route.state == "open"
    expected = (
        "STARTTLS" if flaw == "starttls-missing" else "TLS failed: the server's certificate is not valid: "
    )
    assert expected in route.last_fault

    with Sink(tls=good, extensions=EXTENSIONS) as recovered:
        engine.use_server(recovered.port)
        engine.pass_time(minutes=20)
        engine.finish()

    assert recovered.per_address() == {client.email: 1 for client in clients}
    assert {line.split()[0].upper() for line in recovered.unencrypted} == {"EHLO", "STARTTLS"}
    check_ledger(session, get_only_run(session), recovered.letters)


def test_18_nothing_is_sent_if_implicit_tls_fails(session: Session, user: User, engine: Engine) -> None:
    create_clients(user, RECIPIENTS)
    with Sink() as plain:
        engine.use_server(plain.port, server="localhost", use_ssl=True)
        engine.start(due_mailing(user))

    assert plain.stage_counts[Stage.MAIL] == 0
    assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
    assert session.execute(select(Route)).scalar_one().last_fault == "TLS failed: wrong version number"


def test_19_a_refused_password_uses_up_no_attempts_and_sending_resumes_automatically(
    session: Session, user: User, engine: Engine, authority: trustme.CA
) -> None:
    clients = create_clients(user, RECIPIENTS)
    refusals = 4

    def refuse_at_first(turn: Turn) -> None:
        if turn.stage is Stage.AUTH and turn.sink.stage_counts[Stage.AUTH] <= refusals:
            turn.say("535 5.7.8 wrong password")

    with Sink(refuse_at_first, tls=make_server_context(authority), extensions=EXTENSIONS) as sink:
        engine.use_server(sink.port, server="localhost", use_tls=True, username="sky", password="s3cret")
        engine.start(due_mailing(user))
        assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
        assert session.execute(select(Route)).scalar_one().last_fault == "535 5.7.8 wrong password"
        engine.finish(timedelta(minutes=20))

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert sink.per_address() == {client.email: 1 for client in clients}
    assert set(session.scalars(select(Attempt.number))) == {1}, "the refusals did not count as attempts"
    assert not any("c2t5" in line or "AUTH" in line for line in sink.unencrypted)
    check_ledger(session, get_only_run(session), sink.letters)


def test_19_a_password_that_smtp_cannot_encode_is_a_route_fault_and_stays_secret(
    session: Session, user: User, engine: Engine, authority: trustme.CA
) -> None:
    create_clients(user, RECIPIENTS)
    with Sink(tls=make_server_context(authority), extensions=EXTENSIONS) as sink:
        engine.use_server(sink.port, server="localhost", use_tls=True, username="sky", password="секрет")
        engine.start(due_mailing(user))
        for _ in range(8):
            engine.sweep()

    assert sink.connections <= 5, "the breaker opens after five faults"
    assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
    route = session.execute(select(Route)).scalar_one()
    assert route.state == "open"
    assert route.last_fault == "the user name or password contains characters that SMTP cannot transmit"


def test_19_a_demand_for_authentication_is_a_route_fault(
    session: Session, user: User, engine: Engine
) -> None:
    create_clients(user, RECIPIENTS)

    def require_sign_in(turn: Turn) -> None:
        if turn.stage is Stage.MAIL and turn.connection <= 2:
            turn.say("530 5.7.0 authentication required")

    with Sink(require_sign_in) as sink:
        engine.use_server(sink.port)
        engine.start(due_mailing(user))
        assert count_states(session, get_only_run(session)) == {"pending": RECIPIENTS}
        engine.finish(timedelta(minutes=20))

    assert count_states(session, get_only_run(session)) == {"sent": RECIPIENTS}
    assert set(session.scalars(select(Attempt.number))) == {1}
    check_ledger(session, get_only_run(session), sink.letters)
