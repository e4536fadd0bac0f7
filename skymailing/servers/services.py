"""Add, change and delete mail servers, and request tests; lock the owner's row to enforce limits."""

import re
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy.exc import InvalidRequestError

from skymailing import audit
from skymailing.audit import Actor
from skymailing.delivery.routing.servers import forget_routes
from skymailing.encryption import SMTP_ACCESS, encrypt
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, Security, SmtpServer, UsageKind, User
from skymailing.quotas.checks import require_room, select_servers, use
from skymailing.quotas.locking import lock_owner
from skymailing.servers.queries import is_used_by_open_run, list_server_senders
from skymailing.settings.quotas import quota_settings

# With other ports, users could probe hosts for other services.
PORTS = (25, 465, 587, 2525)
TESTS_PER_HOUR = 20
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label must contain a letter: this excludes IP addresses, which certificates rarely name.
HOST = re.compile(rf"(?=.{{4,253}}$)(?:{LABEL}\.)+(?=[a-z0-9-]*[a-z]){LABEL}")


class ServerError(UserError):
    """A server cannot be saved or used; `field` is the form field at fault."""

    def __init__(self, code: str, field: str = "", **values: object) -> None:
        super().__init__(code, **values)
        self.field = field


@dataclass(frozen=True)
class ServerValues:
    """The choices for a server; an empty password keeps the stored one."""

    name: str
    host: str
    port: int
    security: Security
    username: str = ""
    password: str = ""
    rate_per_minute: int | None = None
    sessions: int = 2


# The values that determine where the password is sent.
IDENTITY = ("host", "port", "security", "username")


def parse_host(text: str) -> str:
    """Return a host name in the form that DNS expects; raises ServerError."""
    try:
        host = text.strip().rstrip(".").lower().encode("idna").decode()
    except UnicodeError:
        host = ""
    if HOST.fullmatch(host) is None:
        raise ServerError("server_host_invalid", "host")
    return host


def add_server(owner: User | None, values: ServerValues, now: datetime, actor: Actor) -> SmtpServer:
    """Add a server, for everyone if it has no owner, and request its test.

    Raises ServerError and LimitReached.
    """
    if owner is not None:
        lock_owner(owner.id)
        require_room("server_limit", select_servers(owner.id), quota_settings().servers)
    server = SmtpServer(owner_id=owner.id if owner else None)
    _write(server, values)
    db.session.add(server)
    db.session.flush()
    audit.record(AuditAction.SERVER_ADDED, actor, server)
    request_test(server, now)
    return server


def change_server(server: SmtpServer, values: ServerValues, now: datetime, actor: Actor) -> None:
    """Change a server, and test it again if its access has changed. Raises ServerError and LimitReached."""
    _lock_server(server)
    if _write(server, values):
        server.has_passed, server.tested_at, server.test_answer = False, None, ""
        request_test(server, now)
    db.session.flush()
    audit.record(AuditAction.SERVER_CHANGED, actor, server)


def _write(server: SmtpServer, values: ServerValues) -> bool:
    """Set the values; return whether the server's access has changed."""
    is_new = server.host is None
    is_moved = any(getattr(server, name) != getattr(values, name) for name in IDENTITY)
    if server.owner_id is not None:
        _check_access(values)
        # Otherwise, a person at the owner's unlocked computer could send the password to a server of their
        # own.
        if is_moved and not values.password:
            raise ServerError("server_password_missing" if is_new else "server_password_again", "password")
    for field in fields(values):
        if field.name != "password":
            setattr(server, field.name, getattr(values, field.name))
    if values.password or is_moved:
        server.encrypted_password = encrypt(values.password, SMTP_ACCESS)
    return is_moved or bool(values.password)


def _check_access(values: ServerValues) -> None:
    """Reject options that only operators may use: other ports, and no encryption or password."""
    if values.port not in PORTS or values.security is Security.NONE:
        raise ServerError("server_port_not_allowed", "access")
    if not values.username:
        raise ServerError("server_username_missing", "username")


def request_test(server: SmtpServer, now: datetime) -> None:
    """Request a test of the server by a worker. Raises LimitReached."""
    if server.owner_id is not None and not server.is_being_tested:
        use("server_test_limit", server.owner_id, UsageKind.SERVER_TESTS, TESTS_PER_HOUR, 1, now)
    server.test_requested_at = now


def check_unused(server: SmtpServer) -> None:
    """Raise ServerError if a sender or an unfinished run uses the server."""
    if addresses := list_server_senders(server.id):
        raise ServerError("server_in_use", addresses=", ".join(addresses))
    if is_used_by_open_run(server.id):
        raise ServerError("server_in_run")


def delete_server(server: SmtpServer, actor: Actor) -> None:
    """Delete an unused server, with all data learned about it. Raises ServerError."""
    _lock_server(server)
    check_unused(server)
    audit.record(AuditAction.SERVER_DELETED, actor, server)
    forget_routes(db.session.connection(), [server.route])
    db.session.delete(server)
    db.session.flush()


def _lock_server(server: SmtpServer) -> None:
    """Lock a server until the transaction ends, and read it again; raises ServerError if it was deleted."""
    try:
        db.session.refresh(server, with_for_update=True)
    except InvalidRequestError as error:
        raise ServerError("server_deleted") from error
