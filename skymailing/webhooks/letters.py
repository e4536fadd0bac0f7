"""Report letters by reading the log of attempts, so that sending a letter writes no additional rows.

Each endpoint has a cursor. A call reports the next attempts after it. The following call is added only when
that call has ended, so the calls of an endpoint are in order.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, text

from skymailing.db.text_search import is_sqlite
from skymailing.events import payloads
from skymailing.events.recording import add_calls
from skymailing.extensions import db
from skymailing.models import (
    Attempt,
    CallState,
    Delivery,
    EndpointState,
    EventType,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)

LETTERS_PER_CALL = 500
HORIZON = "SELECT CAST(CAST(pg_snapshot_{}(pg_current_snapshot()) AS text) AS bigint)"


def find_last_attempt(owner_id: int) -> int:
    """Return the ID of the owner's newest attempt, 0 if there is none."""
    newest = select(Attempt.id).where(Attempt.owner_id == owner_id).order_by(Attempt.id.desc()).limit(1)
    return db.session.scalar(newest) or 0


def list_waiting_endpoints() -> list[int]:
    """Return the endpoints with attempts to report and without an unfinished call about earlier ones."""
    has_new = exists().where(
        Attempt.owner_id == WebhookEndpoint.owner_id, Attempt.id > WebhookEndpoint.letters_cursor
    )
    waiting = select(WebhookEndpoint.id).where(
        WebhookEndpoint.state == EndpointState.ENABLED,
        WebhookEndpoint.wants_letters,
        has_new,
        ~_has_open_call(),
    )
    return list(db.session.scalars(waiting))


def _has_open_call() -> Any:
    return exists().where(
        WebhookCall.endpoint_id == WebhookEndpoint.id,
        WebhookCall.state == CallState.PENDING,
        WebhookEvent.id == WebhookCall.event_id,
        WebhookEvent.type == EventType.LETTERS_CHANGED,
    )


def add_call(endpoint_id: int, now: datetime) -> bool:
    """Add the next call of an endpoint; return False if the attempts are not complete yet.

    A transaction that commits later may contain earlier attempts. Therefore, the newest attempt is stored
    first. Attempts up to it are reported once all transactions that were open at that time have ended.
    """
    locked = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, ~_has_open_call())
    endpoint = db.session.scalar(
        locked.with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    if endpoint is None:
        return False
    if endpoint.letters_until <= endpoint.letters_cursor:
        endpoint.letters_until = find_last_attempt(endpoint.owner_id)
        endpoint.letters_horizon = _read_horizon("xmax")
    if _read_horizon("xmin") < endpoint.letters_horizon:
        db.session.flush()
        return False
    next_ones = (
        select(Attempt.id)
        .where(
            Attempt.owner_id == endpoint.owner_id,
            Attempt.id > endpoint.letters_cursor,
            Attempt.id <= endpoint.letters_until,
        )
        .order_by(Attempt.id)
        .limit(LETTERS_PER_CALL)
    )
    ids = db.session.scalars(next_ones).all()
    if ids:
        event = payloads.letters_changed(endpoint.owner_id, endpoint.letters_cursor, ids[-1], now)
        add_calls(db.session.connection(), [(event, [endpoint.id])])
    is_full = len(ids) == LETTERS_PER_CALL
    endpoint.letters_cursor = ids[-1] if is_full else max(endpoint.letters_until, *ids, 0)
    db.session.flush()
    return True


def _read_horizon(end: str) -> int:
    """Return a boundary of the current snapshot; 0 on SQLite, where only one transaction writes at a time."""
    return 0 if is_sqlite() else int(db.session.scalar(text(HORIZON.format(end))) or 0)


def read_letters(owner_id: int, after: int, until: int) -> list[dict[str, Any]]:
    """Return the attempts in a range, as payloads contain them; those of removed runs are missing."""
    columns = (Attempt.id, Attempt.delivery_id, Attempt.mailing_id, Attempt.run_id, Delivery.email)
    result = (Attempt.number, Attempt.at, Attempt.outcome, Attempt.code, Attempt.answer)
    rows = db.session.execute(
        select(*columns, *result)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(Attempt.owner_id == owner_id, Attempt.id > after, Attempt.id <= until)
        .order_by(Attempt.id)
    )
    return [row._asdict() | {"at": payloads.write_time(row.at), "outcome": row.outcome.value} for row in rows]


def rewind_reused() -> None:
    """Set back cursors that are beyond the newest attempt: SQLite reuses the IDs of removed rows."""
    if not is_sqlite():
        return
    newest = db.session.scalar(select(func.max(Attempt.id))) or 0
    beyond = WebhookEndpoint.wants_letters & (WebhookEndpoint.letters_cursor > newest)
    for endpoint in db.session.scalars(select(WebhookEndpoint).where(beyond)):
        endpoint.letters_cursor = endpoint.letters_until = newest
    db.session.flush()
