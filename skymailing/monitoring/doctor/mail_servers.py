"""Check the mail servers: sign in as the delivery engine does, and assess the encryption."""

import ipaddress
import smtplib
from contextlib import suppress
from dataclasses import replace
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from skymailing.db.engine import reading_engine
from skymailing.delivery.routing import routes
from skymailing.delivery.routing.servers import COLUMNS, ServerAccess
from skymailing.delivery.smtp import connection
from skymailing.errors import SkyMailingError
from skymailing.models import ROUTE_PREFIX, BreakerState, Route, SmtpServer
from skymailing.monitoring import checks
from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.site import judge_certificate, read_expiry

COMMON_CHECK = "common-mail-servers"
ADVICE = (
    "Check {prefix}SERVER, {prefix}PORT, {prefix}USE_TLS or {prefix}USE_SSL, {prefix}USERNAME and "
    "{prefix}PASSWORD."
)


def check_mail_servers() -> list[Check]:
    """Connect to each configured mail server and sign in, as the service does."""
    config = current_app.config
    found = [_check("mail-server", "MAIL_", current_app.extensions["mail"])]
    names = [routes.PRIMARY]
    if config["MAIL_FALLBACK"] is not None:
        found.append(_check("fallback-mail-server", "MAIL_FALLBACK_", config["MAIL_FALLBACK"]))
        names.append(routes.FALLBACK)
    return [_add_route_state(check, name) for check, name in zip(found, names, strict=True)]


def check_common_servers() -> list[Check]:
    """Sign in to each mail server that operators offer to all users."""
    statement = select(SmtpServer.id, SmtpServer.name, *COLUMNS).where(SmtpServer.owner_id.is_(None))
    try:
        with Session(reading_engine()) as session:
            rows = session.execute(statement.order_by(SmtpServer.id)).all()
    except SQLAlchemyError:
        return []  # the check of the database reports it
    found = [_check_common(ServerAccess.of(row, row.id), row.name) for row in rows]
    return [
        _add_route_state(check, f"{ROUTE_PREFIX}{row.id}") for check, row in zip(found, rows, strict=True)
    ]


def _check_common(server: ServerAccess, name: str) -> Check:
    where = f"{name} ({server.server}:{server.port})"
    try:
        session = server.open()
    except OSError as error:
        advice = f"Correct the server, or remove it: flask servers delete {server.id}"
        return Check(COMMON_CHECK, False, f"{where}: {error_text(error)}", advice)
    with suppress(OSError):
        session.quit()
    session.close()
    return Check(COMMON_CHECK, True, f"{where} accepts connections")


def _add_route_state(check: Check, name: str) -> Check:
    """Add to a check the state of this server's route, which sending letters has determined."""
    try:
        with Session(reading_engine()) as session:
            route = session.get(Route, name)
    except SQLAlchemyError:
        return check  # the check of the database reports it
    if route is None:
        return check
    limits = _describe_limits(route)
    if route.state is not BreakerState.CLOSED:
        limits.insert(0, f"but no letters are sent through it because of this fault: {route.last_fault}")
    found = replace(check, finding="; ".join([check.finding, *limits]))
    if route.state is BreakerState.CLOSED or not check.is_ok:
        return found
    tried = f"The next attempt is at {route.retry_at:%H:%M} UTC. " if route.retry_at else ""
    return replace(found, is_ok=False, advice=f"{tried}To use it at once: flask routes reopen {name}")


def _describe_limits(route: Route) -> list[str]:
    limits = []
    if route.pace is not None:
        limits.append(f"it asked us to slow down, so at most {route.pace:.3g} letters per second are sent")
    if route.step_by_step_since:
        limits.append("it offers PIPELINING, but it does not work, so letters are sent step by step")
    return limits


def _check(name: str, prefix: str, settings: Any) -> Check:
    server = f"{settings.server}:{settings.port}"
    is_catcher = current_app.config["MAIL_CATCHER"]
    try:
        session = connection.open_smtp(current_app.config["MAIL_TIMEOUT"], settings)
    except (OSError, SkyMailingError) as error:
        advice = checks.START_ADVICE if is_catcher else ADVICE.format(prefix=prefix)
        return Check(name, False, f"{server}: {error_text(error)}", advice)
    try:
        if is_catcher:
            return Check(name, True, f"{server} accepts connections (the mail catcher)")
        check = _judge_encryption(name, prefix, server, settings, session)
        return replace(check, finding=f"{check.finding}; {_describe_international(session)}")
    finally:
        with suppress(OSError):
            session.quit()
        session.close()


def error_text(error: Exception) -> str:
    """Return the error message of the server or the system."""
    return connection.format_error(error) if isinstance(error, OSError) else str(error)


def _describe_international(session: smtplib.SMTP) -> str:
    """Describe whether letters to addresses such as почта@пример.рф can be sent (RFC 6531)."""
    if session.has_extn("smtputf8"):
        return "it accepts addresses with non-Latin letters before the @ (SMTPUTF8)"
    return "it refuses addresses with non-Latin letters before the @: it does not offer SMTPUTF8"


def _judge_encryption(name: str, prefix: str, server: str, settings: Any, session: smtplib.SMTP) -> Check:
    """Assess the encryption of an open session."""
    ends = read_expiry(session.sock)
    if ends is not None:
        found = judge_certificate(name, ends, "The operator of the mail server has to renew its certificate.")
        return Check(
            name,
            found.is_ok,
            f"{server} accepts connections over TLS; its certificate is {found.finding}",
            found.advice,
        )
    assert session.sock is not None
    if ipaddress.ip_address(session.sock.getpeername()[0]).is_loopback:
        return Check(name, True, f"{server} accepts connections on this host")
    if session.has_extn("starttls"):
        finding = f"{server} offers TLS, but letters are sent unencrypted"
        return Check(name, False, finding, f"Set {prefix}USE_TLS=yes.")
    if settings.username:
        finding = f"{server} receives the password unencrypted"
        return Check(
            name, False, finding, f"Use a server and port with TLS, and {prefix}USE_TLS or {prefix}USE_SSL."
        )
    return Check(name, True, f"{server} accepts connections, but unencrypted: it offers no TLS")
