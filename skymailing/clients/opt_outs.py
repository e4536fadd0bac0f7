"""Let people leave a topic or everything through the link in a letter, undo it for a day, and give a reason.

All decisions that people make through links in letters are stored here, except requests that arrive as email
or from providers (`returns.consequences`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, select, update

from skymailing.clients.cleaning import clean_text
from skymailing.clients.consents import NO_EVIDENCE, Evidence, record
from skymailing.clients.opt_out_counts import count_added, count_undone, find_run
from skymailing.clients.suppression import list_merged_into, suppress
from skymailing.clients.topic_choices import Change, choose, restore_choices
from skymailing.events import payloads
from skymailing.events.recording import record as record_events
from skymailing.extensions import db
from skymailing.models import (
    TRUSTED_PROOFS,
    Bounce,
    BounceKind,
    ConsentKind,
    OptOut,
    OptOutReason,
    Suppression,
    SuppressionReason,
    Topic,
)
from skymailing.models.topic import COMMENT_MAX_LENGTH

UNDO_TIME = timedelta(hours=24)
MAX_SHOWN = 20
# After one of these, the address remains suppressed.
FINAL_BOUNCES = (BounceKind.COMPLAINT, BounceKind.HARD)


def opt_out(
    owner_id: int, email_key: str, topic_id: int | None, now: datetime, evidence: Evidence = NO_EVIDENCE
) -> None:
    """Stop the owner's letters about a topic, or all of them; repeating it changes nothing.

    Stopping all is recorded with `evidence`. If the topic has been deleted, all letters stop: the person
    wants no more letters like this one.
    """
    statement = select(Topic.id).where(Topic.owner_id == owner_id, Topic.id == topic_id)
    if topic_id is None or db.session.scalar(statement) is None:
        before = {"suppressions": _stop_everything(owner_id, email_key, now)}
        if before["suppressions"]:
            record(owner_id, email_key, ConsentKind.WITHDRAWN, now, evidence)
        _remember(owner_id, email_key, None, before, now)
    else:
        changes = choose(owner_id, email_key, {topic_id: False}, now)
        _remember(owner_id, email_key, topic_id, {"choices": changes}, now)


def save_choices(owner_id: int, email_key: str, choices: Mapping[int, bool], now: datetime) -> list[Change]:
    """Save what a person chose on the preference page, and report the topics that they left."""
    changes = choose(owner_id, email_key, choices, now)
    left = {change["topic_id"] for change in changes if not choices[change["topic_id"]]}
    events = [payloads.client_unsubscribed(owner_id, email_key, id, None, now) for id in sorted(left)]
    record_events(db.session.connection(), *events)
    return changes


def _stop_everything(owner_id: int, email_key: str, now: datetime) -> dict[str, list[str] | None]:
    """Suppress the address and those into which it was merged; return what an undo restores for each.

    This is the owner's own suppression, or None. Suppressions for other reasons remain, so they need no undo.
    """
    keys = [email_key, *list_merged_into(owner_id, [email_key])]
    same_addresses = (Suppression.owner_id == owner_id) & Suppression.email_key.in_(keys)
    by_owner = select(Suppression).where(same_addresses, Suppression.reason == SuppressionReason.MANUAL)
    earlier = {
        row.email_key: [row.note, row.created_at.isoformat()]
        for row in db.session.scalars(by_owner.with_for_update())
    }
    suppress(owner_id, email_key, SuppressionReason.UNSUBSCRIBED, "", now)
    # A concurrent request may have unsubscribed the address.
    made_now = (Suppression.reason == SuppressionReason.UNSUBSCRIBED) & (Suppression.created_at == now)
    changed = db.session.scalars(select(Suppression.email_key).where(same_addresses, made_now))
    return {key: earlier.get(key) for key in changed}


def _remember(
    owner_id: int, email_key: str, topic_id: int | None, before: dict[str, Any], now: datetime
) -> None:
    """Store what was changed, if anything; it replaces an earlier opt-out that was undone."""
    if not any(before.values()):
        return
    same = (OptOut.owner_id == owner_id) & (OptOut.email_key == email_key)
    db.session.execute(delete(OptOut).where(same, _is_about(topic_id), OptOut.undone_at.is_not(None)))
    stored = OptOut(owner_id=owner_id, email_key=email_key, topic_id=topic_id, at=now, before=before)
    stored.run_id = find_run(owner_id, email_key, topic_id)
    db.session.add(stored)
    db.session.flush()
    event = payloads.client_unsubscribed(owner_id, email_key, topic_id, stored.run_id, now)
    record_events(db.session.connection(), event)
    count_added(stored)


def _is_about(topic_id: int | None) -> ColumnElement[bool]:
    is_about: ColumnElement[bool] = OptOut.topic_id == topic_id  # IS NULL for None
    return is_about


def find_undoable(owner_id: int, email_key: str, topic_id: int | None, now: datetime) -> OptOut | None:
    """Return the last opt-out of a topic, or of everything, at this address that can still be undone."""
    statement = _select_undoable(owner_id, email_key, now).where(_is_about(topic_id))
    return db.session.scalar(statement.order_by(OptOut.id.desc()).limit(1))


def _select_undoable(owner_id: int, email_key: str, now: datetime) -> Select[tuple[OptOut]]:
    condition = (OptOut.owner_id == owner_id) & (OptOut.email_key == email_key)
    return select(OptOut).where(condition, OptOut.at > now - UNDO_TIME, OptOut.undone_at.is_(None))


def undo(
    owner_id: int, email_key: str, opt_out_id: int, now: datetime, evidence: Evidence = NO_EVIDENCE
) -> bool:
    """Undo one opt-out at this address; return False if it is too late or has been undone.

    Later changes are kept, and an address remains suppressed if it reported spam or does not exist.
    """
    statement = _select_undoable(owner_id, email_key, now).where(OptOut.id == opt_out_id)
    found = db.session.scalar(statement.with_for_update())
    if found is None:
        return False
    for key, manual in found.before.get("suppressions", {}).items():
        _lift(found, key, manual)
    if found.before.get("suppressions"):
        record(owner_id, email_key, ConsentKind.RESUMED, now, evidence)
    restore_choices(owner_id, found.before.get("choices", ()))
    found.undone_at = now
    db.session.flush()
    event = payloads.client_resubscribed(owner_id, email_key, found.topic_id, found.run_id, now)
    record_events(db.session.connection(), event)
    count_undone(found)
    return True


def _lift(found: OptOut, email_key: str, manual: list[str] | None) -> None:
    """Lift a suppression that this opt-out made, or restore the owner's earlier one.

    After a complaint or a hard bounce, do neither: the owner could then lift the suppression.
    """
    has_bounced = exists().where(
        Bounce.owner_id == found.owner_id,
        Bounce.email_key == email_key,
        Bounce.kind.in_(FINAL_BOUNCES),
        Bounce.proof.in_(TRUSTED_PROOFS),
        Bounce.received_at >= found.at,
    )
    made_by_it = (
        (Suppression.owner_id == found.owner_id)
        & (Suppression.email_key == email_key)
        & (Suppression.reason == SuppressionReason.UNSUBSCRIBED)
        & (Suppression.created_at == found.at)
    )
    if manual is None:
        db.session.execute(delete(Suppression).where(made_by_it, ~has_bounced))
        return
    note, since = manual
    values = {"reason": SuppressionReason.MANUAL, "note": note, "created_at": datetime.fromisoformat(since)}
    db.session.execute(update(Suppression).where(made_by_it, ~has_bounced).values(values))


def save_reason(
    owner_id: int, email_key: str, opt_out_id: int, reason: str, comment: str, now: datetime
) -> bool:
    """Store why the person opted out; return False if it is too late, or if the opt-out has been undone."""
    found = db.session.scalar(_select_undoable(owner_id, email_key, now).where(OptOut.id == opt_out_id))
    if found is None:
        return False
    found.reason = reason if reason in set(OptOutReason) else ""
    found.comment = clean_text(comment[: 2 * COMMENT_MAX_LENGTH])[:COMMENT_MAX_LENGTH]
    db.session.flush()
    return True


def list_comments(owner_id: int, since: datetime) -> list[tuple[OptOut, str | None]]:
    """Return the newest opt-outs with a comment, each with the name of its topic."""
    rows = select(OptOut, Topic.name).outerjoin(Topic, Topic.id == OptOut.topic_id)
    rows = rows.where(_is_counted(owner_id, since), OptOut.comment != "")
    return list(db.session.execute(rows.order_by(OptOut.id.desc()).limit(MAX_SHOWN)).tuples())


def count_reasons(owner_id: int, since: datetime) -> dict[str, int]:
    """Return how many people gave each reason; "" is for those who gave none."""
    rows = select(OptOut.reason, func.count()).where(_is_counted(owner_id, since)).group_by(OptOut.reason)
    return dict(db.session.execute(rows).tuples().all())


def _is_counted(owner_id: int, since: datetime) -> Any:
    return (OptOut.owner_id == owner_id) & (OptOut.at >= since) & OptOut.undone_at.is_(None)
