"""Catch letters added with test keys: workers render and store them instead of sending them.

Like other letters, they are claimed and recorded in the ledger, each with an attempt. If a worker dies, its
letters return to pending and are caught again, which replaces the stored ones.
"""

import math
from datetime import datetime
from email import policy
from email.parser import BytesHeaderParser

from sqlalchemy import delete, select

from skymailing.clock import utcnow
from skymailing.db.engine import insert_into, is_one_of
from skymailing.delivery.batch import Batch
from skymailing.delivery.dispatcher import Dispatcher
from skymailing.delivery.ledger.open_runs import OpenRun
from skymailing.delivery.smtp.session import Letter, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.delivery.window_letters import Outlet, render_letters
from skymailing.extensions import db
from skymailing.models import CaughtLetter

CATCHER = Outlet("catcher", "", math.inf)
CODE, ANSWER = 250, "caught, not sent"
KEPT_LETTERS = 200  # per owner; older ones are deleted, and all of them with their run (retention/caught.py)
SUBJECT_LENGTH = 998
MAX_SOURCE = 200_000  # stored bytes per letter


def catch(run: OpenRun, batch: Batch, dispatcher: Dispatcher) -> None:
    """Store the letters of a window for their owner, and record them as sent."""
    caught = list(render_letters(run, batch, batch.claimed, dispatcher, CATCHER))
    store(run.owner_id, caught[-KEPT_LETTERS:], utcnow())
    for letter in caught:
        letter.content = b""
    batch.results += [Result(letter, Verdict.SENT, CODE, ANSWER) for letter in caught]
    batch.record(run, CATCHER.route)


def store(owner_id: int, letters: list[Letter], now: datetime) -> None:
    """Store letters, and delete the owner's oldest ones beyond the limit."""
    if not letters:
        return
    rows = [describe(owner_id, letter, now) for letter in letters]
    beyond = select(CaughtLetter.id).where(CaughtLetter.owner_id == owner_id)
    beyond = beyond.order_by(CaughtLetter.id.desc()).offset(KEPT_LETTERS)
    with db.engine.connect() as connection, connection.begin():
        ids = [letter.delivery_id for letter in letters]
        connection.execute(
            delete(CaughtLetter).where(is_one_of(CaughtLetter.delivery_id, "ids")), {"ids": ids}
        )
        connection.execute(insert_into(CaughtLetter).on_conflict_do_nothing(), rows)
        connection.execute(delete(CaughtLetter).where(CaughtLetter.id.in_(beyond)))


def describe(owner_id: int, letter: Letter, now: datetime) -> dict[str, object]:
    """Return the row of a letter."""
    headers = BytesHeaderParser(policy=policy.default).parsebytes(letter.content)
    return {
        "owner_id": owner_id,
        "delivery_id": letter.delivery_id,
        "email": letter.recipient,
        "subject": str(headers["Subject"] or "")[:SUBJECT_LENGTH],
        "source": (letter.content + letter.tail[:MAX_SOURCE])[:MAX_SOURCE],
        "caught_at": now,
    }
