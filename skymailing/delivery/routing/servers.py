"""Reach owners' mail servers: their settings as a worker uses them, and the runs that they serve.

A server is read together with its run, so that a change applies to the next window without another query.
"""

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from flask import current_app
from sqlalchemy import ColumnElement, Connection, String, cast, delete, exists, literal, select

from skymailing.delivery.smtp import connection
from skymailing.encryption import SMTP_ACCESS, decrypt
from skymailing.models import ROUTE_PREFIX, BreakerState, OwnerPause, Route, Run, Security, SmtpServer

# Seconds to open a session, excluding the DNS lookup. This is less than for the installation's server,
# because a worker that waits for a user's unresponsive server sends no letters of other users.
OPEN_SECONDS = 10.0
LOST_PASSWORD = "the stored password cannot be read any more; please enter it again"  # noqa: S105

COLUMNS = tuple(
    getattr(SmtpServer, name).label(f"server_{name}")
    for name in (
        *("owner_id", "host", "port", "security", "username", "encrypted_password"),
        *("rate_per_minute", "sessions"),
    )
)


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """The address and the credentials of a mail server in the table smtp_servers, and its limits."""

    id: int
    is_shared: bool
    server: str
    port: int
    security: Security
    username: str
    encrypted_password: str
    rate: float | None  # letters per second; None: no limit
    sessions: int  # for all workers together

    @classmethod
    def of(cls, row: Any, server_id: int) -> Self:
        """Return the server in a row with COLUMNS."""
        return cls(
            id=server_id,
            is_shared=row.server_owner_id is None,
            server=row.server_host,
            port=row.server_port,
            security=row.server_security,
            username=row.server_username,
            encrypted_password=row.server_encrypted_password,
            rate=row.server_rate_per_minute / 60 if row.server_rate_per_minute else None,
            sessions=row.server_sessions,
        )

    @property
    def route(self) -> str:
        return f"{ROUTE_PREFIX}{self.id}"

    @property
    def use_tls(self) -> bool:
        return self.security is Security.STARTTLS

    @property
    def use_ssl(self) -> bool:
        return self.security is Security.TLS

    @property
    def password(self) -> str:
        """The decrypted password; raises OSError if SECRET_KEY has changed."""
        if not self.encrypted_password:
            return ""
        password = decrypt(self.encrypted_password, SMTP_ACCESS)
        if password is None:
            raise OSError(LOST_PASSWORD)
        return password

    def open(self, phases: connection.Phases | None = None) -> smtplib.SMTP:
        """Open a session; raises OSError. Users' servers must have a public address."""
        allowed = None if self.is_shared else current_app.config["MAIL_SERVERS_PRIVATE_NETWORKS"]
        return connection.open_smtp(OPEN_SECONDS, self, phases, allowed)


def find_server(connection: Connection, server_id: int) -> ServerAccess | None:
    """Return a mail server as workers use it; None if it has been deleted."""
    row = connection.execute(select(*COLUMNS).where(SmtpServer.id == server_id)).one_or_none()
    return ServerAccess.of(row, server_id) if row else None


def forget_routes(connection: Connection, names: Sequence[str]) -> int:
    """Delete what was learned about deleted servers; return the number of their routes."""
    connection.execute(delete(OwnerPause).where(OwnerPause.route.in_(names)))
    return connection.execute(delete(Route).where(Route.name.in_(names))).rowcount


def may_be_used(now: datetime) -> ColumnElement[bool]:
    """Return the condition that the run's own server, if it has one, is not shut off now."""
    is_its_route = Route.name == literal(ROUTE_PREFIX) + cast(Run.server_id, String)
    is_shut_off = (Route.state == BreakerState.OPEN) & (Route.retry_at > now)
    return Run.server_id.is_(None) | ~exists().where(is_its_route, is_shut_off)
