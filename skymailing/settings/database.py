"""The database's options: how JSON is written, and how long PostgreSQL keeps the locks of a lost host."""

import json
from typing import Any

from sqlalchemy.engine import make_url

from skymailing.settings.environment import EnvironmentReader

CONNECT_SECONDS = 10
# SQLite compares JSON keys as they are stored, so an escaped key would never be found.
write_json = json.JSONEncoder(ensure_ascii=False).encode
PROBES = 3  # unanswered, after which a connection is considered broken


class DatabaseLimits(EnvironmentReader):
    """Limits in seconds, for PostgreSQL only; 0 means no limit."""

    def read(self) -> dict[str, int]:
        """Return the limits by name; raises ConfigurationError."""
        return {
            # Ends idle transactions, whose locks block all other transactions that need the same rows.
            "idle": self._number("DATABASE_IDLE_SECONDS", 30, 0, 86_400),
            # Ends the wait for a lock with an error. Workers then retry, and pages ask the visitor to retry.
            "lock": self._number("DATABASE_LOCK_SECONDS", 20, 0, 86_400),
            # Ends a connection, on both sides, if the other side does not acknowledge data.
            "network": self._number("DATABASE_NETWORK_SECONDS", 30, 0, 86_400),
        }


def build_engine_options(url: str, limits: dict[str, int]) -> dict[str, Any]:
    """Return SQLAlchemy's options for an engine with these limits."""
    # Errors quote the statement but not its values: those include addresses and password hashes.
    options: dict[str, Any] = {
        "pool_pre_ping": True,
        "hide_parameters": True,
        "json_serializer": write_json,
    }
    database = make_url(url)
    if database.get_backend_name() == "postgresql":
        given = database.query.get("options", "")
        options["connect_args"] = _make_client_options(limits["network"])
        if server := " ".join(
            [*_make_server_options(limits), *([given] if isinstance(given, str) else given)]
        ):
            options["connect_args"]["options"] = server.strip()
    return options


def _make_client_options(seconds: int) -> dict[str, Any]:
    """Return libpq's options that let this side detect the loss of the server."""
    options = {"connect_timeout": CONNECT_SECONDS}
    return options | _detect_loss(seconds, "keepalives")


def _make_server_options(limits: dict[str, int]) -> list[str]:
    """Return the session settings that let the server detect the loss of this side."""
    values = {
        "idle_in_transaction_session_timeout": limits["idle"] * 1000,
        "lock_timeout": limits["lock"] * 1000,
    }
    values |= _detect_loss(limits["network"], "tcp_keepalives")
    return [f"-c {name}={value}" for name, value in values.items() if value]


def _detect_loss(seconds: int, prefix: str) -> dict[str, int]:
    """Return options, named for libpq or for the server, that end a connection whose other side is silent."""
    if not seconds:
        return {}
    probe = max(1, seconds // (PROBES + 1))
    return {
        f"{prefix}_idle": probe,
        f"{prefix}_interval": probe,
        f"{prefix}_count": PROBES,
        "tcp_user_timeout": seconds * 1000,
    }
