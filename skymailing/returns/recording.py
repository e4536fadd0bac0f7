"""Store returned letters and the bounces that they report, each once.

Rows are written in the order of their keys, so that two processes with the same letters cannot deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from skymailing.db.engine import insert_into, is_in
from skymailing.db.upserts import Insert, Upsert
from skymailing.extensions import db
from skymailing.models import TRUSTED_PROOFS, Bounce, BounceKind, Proof, ReturnedLetter, ReturnedState
from skymailing.returns.arrivals import Arrival
from skymailing.returns.attribution import Target
from skymailing.returns.reports import Report

MAX_STORED = 64 * 1024


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter to store, with its state and its owner, if known."""

    arrival: Arrival
    state: ReturnedState
    owner_id: int | None


@dataclass(frozen=True, slots=True)
class NewBounce:
    """A bounce to record."""

    letter_id: int
    report: Report
    kind: BounceKind
    target: Target


def store_letters(letters: Sequence[NewLetter], now: datetime) -> dict[str, int]:
    """Store letters; return the IDs of the new ones, by digest.

    If another process is storing the same letter, wait for it.
    """
    stored: dict[str, int] = {}
    connection = db.session.connection()
    for letter in sorted(letters, key=lambda letter: letter.arrival.digest):
        row = {
            "digest": letter.arrival.digest,
            "source": letter.arrival.source,
            "received_at": now,
            "raw": letter.arrival.raw[:MAX_STORED],
            "state": letter.state,
            "owner_id": letter.owner_id,
        }
        letter_id = INSERT_LETTER.execute(connection, [row]).scalar()
        if letter_id is not None:
            stored[letter.arrival.digest] = letter_id
    return stored


def _insert_letter() -> Insert:
    return insert_into(ReturnedLetter).on_conflict_do_nothing(index_elements=["digest"])


INSERT_LETTER = Upsert(_insert_letter, ReturnedLetter.id)


def record_bounces(bounces: Sequence[NewBounce], now: datetime) -> list[Bounce]:
    """Record bounces; return the new ones, not those already recorded for the same deliveries.

    A bounce that matched only by address is replaced by one with proof, even if the owner dismissed it.
    """
    connection = db.session.connection()
    ids = [
        bounce_id
        for bounce in _choose(bounces)
        if (bounce_id := UPSERT_BOUNCE.execute(connection, [_make_values(bounce, now)]).scalar()) is not None
    ]
    recorded = select(Bounce).where(is_in(Bounce.id, ids)).order_by(Bounce.id)
    options = {"populate_existing": True}
    return list(db.session.scalars(recorded, execution_options=options)) if ids else []


def _choose(bounces: Sequence[NewBounce]) -> list[NewBounce]:
    """Return the bounces in the order in which they are written, one per delivery and kind."""
    unmatched = [bounce for bounce in bounces if bounce.target.delivery_id is None]
    chosen: dict[tuple[int, BounceKind], NewBounce] = {}
    for bounce in bounces:
        if bounce.target.delivery_id is not None:
            key = (bounce.target.delivery_id, bounce.kind)
            earlier = chosen.setdefault(key, bounce)
            if bounce.target.is_signed and not earlier.target.is_signed:
                chosen[key] = bounce
    return [chosen[key] for key in sorted(chosen)] + unmatched


def _make_values(bounce: NewBounce, now: datetime) -> dict[str, object]:
    report, target = bounce.report, bounce.target
    return {
        "delivery_id": target.delivery_id,
        "letter_id": bounce.letter_id,
        "owner_id": target.owner_id,
        "run_id": target.run_id,
        "mailing_id": target.mailing_id,
        "email_key": target.email_key,
        "kind": bounce.kind,
        "proof": Proof.SIGNED if target.is_signed else Proof.ADDRESS,
        "action": report.action,
        "status": report.status,
        "diagnostic": report.diagnostic,
        "remote_mta": report.remote_mta,
        "received_at": now,
    }


def _upsert_bounce() -> Insert:
    statement = insert_into(Bounce)
    columns = [column.name for column in Bounce.__table__.columns if not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=["delivery_id", "kind"],
        set_={name: statement.excluded[name] for name in columns},
        where=Bounce.proof.not_in(TRUSTED_PROOFS) & (statement.excluded.proof == Proof.SIGNED),
    )


UPSERT_BOUNCE = Upsert(_upsert_bounce, Bounce.id)
