"""Test mail servers in a worker: connect, encrypt, sign in, and store the server's reply."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import select, update

from skymailing import hints, queue
from skymailing.delivery.routing import reopening
from skymailing.delivery.routing.servers import COLUMNS, ServerAccess
from skymailing.delivery.smtp.connection import format_error
from skymailing.delivery.smtp.replies import decode_reply
from skymailing.extensions import db
from skymailing.models import SmtpServer

LEASE = 60  # seconds after which a worker that tests mail servers counts as dead

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TestResult:
    """The result of a test, with the server's reply."""

    has_passed: bool
    reply: str


def run_tests(now: datetime, should_yield: Callable[[float], bool]) -> bool:
    """Test the waiting servers one after another; return whether there may be more.

    Only one worker does this at a time, because some servers do not respond.
    """
    lease, start = uuid4().hex, time.monotonic()
    if not queue.hold_lease(hints.SERVER_TESTS, lease, LEASE):
        return False
    try:
        while _test_next(now + timedelta(seconds=time.monotonic() - start)):
            if should_yield(time.monotonic() - start):
                return True
    finally:
        queue.end_lease(hints.SERVER_TESTS, lease)
    return False


def _test_next(now: datetime) -> bool:
    """Test the server that has waited longest; return whether there was one."""
    waiting = select(SmtpServer.id, SmtpServer.test_requested_at, *COLUMNS)
    waiting = waiting.where(SmtpServer.test_requested_at.is_not(None)).order_by(SmtpServer.test_requested_at)
    row = db.session.execute(waiting.limit(1)).one_or_none()
    db.session.rollback()  # no transaction is open while the server responds
    if row is None:
        return False
    result = test_access(ServerAccess.of(row, row.id))
    # Store the result only if the server has not been changed since: a change requests another test.
    is_current = (SmtpServer.id == row.id) & (SmtpServer.test_requested_at == row.test_requested_at)
    statement = (
        update(SmtpServer)
        .where(is_current)
        .values(
            test_requested_at=None,
            tested_at=now,
            has_passed=result.has_passed,
            test_answer=result.reply[:500],
            updated_at=SmtpServer.updated_at,
        )
    )
    is_recorded = db.session.connection().execute(statement).rowcount > 0
    db.session.commit()
    if is_recorded and result.has_passed:
        reopening.reopen(f"server-{row.id}")
    return True


def test_access(server: ServerAccess) -> TestResult:
    """Open a session and close it; return whether this worked, with the server's reply."""
    try:
        session = server.open()
    except OSError as error:
        return TestResult(False, format_error(error))
    try:
        greeting = session.ehlo_resp or session.helo_resp or b""
        return TestResult(True, decode_reply(greeting.partition(b"\n")[0]))
    finally:
        with suppress(OSError):
            session.quit()
        session.close()
