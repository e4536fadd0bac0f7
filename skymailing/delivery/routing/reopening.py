"""Forget what a route has learned, because its settings have changed or an operator has solved a problem.

A refused password shuts a route off for minutes, and a slow pace lasts until the server has accepted letters
for a while. Neither applies to another server or password.
"""

import hashlib
import hmac
import logging

from flask import current_app
from sqlalchemy.orm import Session

from skymailing.delivery.routing import owner_pauses, routes, session_budget
from skymailing.delivery.routing.route_memory import lock_route
from skymailing.extensions import db
from skymailing.models import BreakerState, Route

logger = logging.getLogger(__name__)

# What a route forgets; its last fault and refusal are kept for operators to read.
NOTHING_LEARNED: dict[str, object] = {
    "state": BreakerState.CLOSED,
    "opened_at": None,
    "retry_at": None,
    "open_seconds": 0,
    "faults_in_a_row": 0,
    "blamed_owner_id": None,
    "pace": None,
    "pace_at_refusal": None,
    "pace_lowered_at": None,
    "pace_changed_at": None,
    "paused_until": None,
    "refusals_in_a_row": 0,
    "step_by_step_since": None,
    "bounce_address": "",
    "probe_sent_at": None,
    "probe": {},
}


def reopen(name: str) -> None:
    """Let the route be used at once, as if nothing were known about its mail server."""
    with Session(db.engine) as session, session.begin():
        _forget(lock_route(session, name))
    owner_pauses.end(name)
    logger.info("route %s is used again", name)


def reopen_changed() -> list[str]:
    """Forget what was learned with other settings; return the names of the routes that were shut off."""
    changed = []
    for name in routes.list_configured():
        digest = _digest_settings(name)
        with Session(db.engine) as session, session.begin():
            route = lock_route(session, name)
            if route.settings_digest == digest:
                continue
            if route.state is not BreakerState.CLOSED:
                changed.append(name)
            _forget(route)
            route.settings_digest = digest
        owner_pauses.end(name)
    for name in changed:
        logger.info("the settings of route %s have changed, so it is used again", name)
    return changed


def _forget(route: Route) -> None:
    for column, value in NOTHING_LEARNED.items():
        setattr(route, column, value)
    session_budget.forget(route.name)


def _digest_settings(name: str) -> str:
    """Return a value that identifies the settings but reveals nothing about the password."""
    found = routes.settings_of(name)
    values = (found.server, found.port, found.use_tls, found.use_ssl, found.username, found.password)
    key = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.digest(key, repr(values).encode(), hashlib.sha256).hex()
