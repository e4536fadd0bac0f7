"""Add transactional letters. Each is a delivery in its sender's run of the day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_babel import force_locale, gettext
from sqlalchemy import exists, select, update

from skymailing.db.engine import insert_into
from skymailing.delivery.daily_runs import day_of, may_get_letters
from skymailing.delivery.ledger.claims import holds_letters
from skymailing.delivery.ledger.run_counts import Changes, RunKey
from skymailing.delivery.rendering.letter import Recipient
from skymailing.delivery.senders import From, describe_from
from skymailing.extensions import db
from skymailing.letters.contents import CheckedContent, LetterError, store_content
from skymailing.letters.files import Attachment
from skymailing.messages.files import largest_total
from skymailing.models import (
    LETTER_RUN_STATES,
    Audience,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    MessageFormat,
    Run,
    RunState,
    Sender,
    Suppression,
    TransactionalLetter,
    User,
)
from skymailing.quotas import letters as letter_limits
from skymailing.quotas.checks import LimitReached

# Transactional letters have no time window; their runs last a day.
NEVER = datetime(2999, 1, 1, tzinfo=UTC)
MAX_CAUGHT_LETTERS = 1000  # of test keys, per day and sender


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter to add."""

    recipient: Recipient
    email_key: str
    content: CheckedContent
    sender: Sender | None
    reference: str = ""
    files: Sequence[Attachment] = ()

    @property
    def values(self) -> Mapping[str, Any]:
        return self.recipient.attributes

    @property
    def file_bytes(self) -> int:
        """The total size of its files."""
        return sum(file.size for file in self.files)


def add_letter(
    owner: User, letter: NewLetter, now: datetime, *, is_caught: bool = False
) -> TransactionalLetter:
    """Add a letter to the ledger; raises LetterError or LimitReached.

    With `is_caught`, the letter is from a test key: a worker stores it instead of sending it. The caller
    commits, and then sends the hint.
    """
    if not is_caught and (reached := letter_limits.find_reached(owner, now)):
        raise LimitReached("letter_limit", reached.limit.count)
    content_id = store_content(owner.id, letter.content, letter.files, now)
    kind = MailingKind.CAUGHT_LETTERS if is_caught else MailingKind.TRANSACTIONAL
    mailing = _find_mailing(owner, letter.sender, kind, now)
    run = _join_run(mailing, owner, letter, now)
    delivery = _add_delivery(run, letter, _first_state(owner.id, letter.email_key), now)
    added = TransactionalLetter(
        delivery_id=delivery.id,
        owner_id=owner.id,
        email_key=letter.email_key,
        content_id=content_id,
        name=letter.recipient.name,
        values=dict(letter.values),
        reference=letter.reference,
        created_at=now,
        is_caught=is_caught,
    )
    db.session.add(added)
    db.session.flush()
    changes = Changes(run)
    changes.add("planned", 1, now)
    changes.move(delivery.state, 1, now)
    changes.write(db.session.connection())
    return added


def _add_delivery(run: RunKey, letter: NewLetter, state: DeliveryState, now: datetime) -> Delivery:
    delivery = Delivery(
        run_id=run.id,
        email=letter.recipient.email,
        email_key=letter.email_key,
        state=state,
        finished_at=now if state is not DeliveryState.PENDING else None,
    )
    db.session.add(delivery)
    db.session.flush()
    return delivery


def _first_state(owner_id: int, email_key: str) -> DeliveryState:
    """Return the first state: suppressed after a bounce or a complaint, but pending after an opt-out."""
    of_address = (Suppression.owner_id == owner_id) & (Suppression.email_key == email_key)
    is_suppressed = db.session.scalar(select(exists().where(of_address, holds_letters())))
    return DeliveryState.SUPPRESSED if is_suppressed else DeliveryState.PENDING


def find_letter_mailing(
    owner_id: int, sender_id: int | None, kind: MailingKind = MailingKind.TRANSACTIONAL
) -> Mailing | None:
    """Return the mailing of the owner's letters from a sender; None is the service's own address."""
    of_sender = Mailing.sender_id.is_(None) if sender_id is None else Mailing.sender_id == sender_id
    is_active = Mailing.state.in_((MailingState.RUNNING, MailingState.PAUSED))
    statement = select(Mailing).where(
        Mailing.owner_id == owner_id, Mailing.kind == kind, of_sender, is_active
    )
    return db.session.scalar(statement)


def _find_mailing(owner: User, sender: Sender | None, kind: MailingKind, now: datetime) -> Mailing:
    """Return the mailing of letters from a sender, and add it if it is missing; raises LetterError."""
    sender_id = sender.id if sender else None
    mailing = find_letter_mailing(owner.id, sender_id, kind)
    if mailing is None:
        with force_locale(owner.locale or "en"):
            name = gettext("Transactional emails")
        values = {
            "owner_id": owner.id,
            "kind": kind.value,
            "sender_id": sender_id,
            "name": name,
            "audience": Audience.SELECTED,
            "state": MailingState.RUNNING,
            "starts_at": now,
            "ends_at": NEVER,
        }
        # Another request may be adding the same mailing.
        db.session.execute(insert_into(Mailing).values(values).on_conflict_do_nothing())
        mailing = find_letter_mailing(owner.id, sender_id, kind)
        assert mailing is not None
    if mailing.state is not MailingState.RUNNING or mailing.is_disabled:
        raise LetterError("letters_paused")
    return mailing


@dataclass(frozen=True, slots=True)
class _Shared:
    """The properties that all letters of a run share."""

    source: From
    server_id: int | None
    file_bytes: int  # the total size of a letter's files; 0 without files


def _join_run(mailing: Mailing, owner: User, letter: NewLetter, now: datetime) -> RunKey:
    """Count one more letter in the open run of the day, and keep it open until the transaction ends."""
    sender = letter.sender
    server_id = sender.server_id if sender and not mailing.is_caught else None
    shared = _Shared(describe_from(owner, sender), server_id, letter.file_bytes)
    while True:
        run = _find_run(mailing.id, shared, now)
        if run is None:
            _add_run(mailing, shared, now)
            continue
        if mailing.is_caught and run.planned >= MAX_CAUGHT_LETTERS:
            raise LimitReached("letter_limit", MAX_CAUGHT_LETTERS)
        # This locks the run, so that the sweep does not close it before this letter is visible.
        more = update(Run).where(Run.id == run.id, Run.state.in_(LETTER_RUN_STATES))
        more = more.values(planned=Run.planned + 1)
        if db.session.execute(more.returning(Run.id), execution_options=UNSYNCHRONIZED).scalar() is not None:
            return RunKey(run.id, mailing.id, mailing.counted_owner_id, run.started_at)


UNSYNCHRONIZED = {"synchronize_session": False}


def _find_run(mailing_id: int, shared: _Shared, now: datetime) -> Any:
    """Return today's run for letters from this sender, with files or without."""
    source, server_id = shared.source, shared.server_id
    is_same_server = Run.server_id.is_(None) if server_id is None else Run.server_id == server_id
    same_source = (Run.sender_name == source.name) & (Run.sender_address == source.address)
    accepts_files = Run.file_bytes >= shared.file_bytes if shared.file_bytes else Run.file_bytes == 0
    statement = select(Run.id, Run.started_at, Run.planned).where(
        Run.mailing_id == mailing_id,
        may_get_letters(now),
        same_source,
        Run.reply_to == source.reply_to,
        is_same_server,
        accepts_files,
    )
    return db.session.execute(statement.order_by(Run.id.desc()).limit(1)).one_or_none()


def _add_run(mailing: Mailing, shared: _Shared, now: datetime) -> None:
    """Add today's run, unless another request is adding it.

    The day has no run yet, or the sender has changed; earlier letters keep their sender. Letters with files
    have separate runs, because their leases are longer.
    """
    source, state = shared.source, RunState.TRANSACTIONAL
    if mailing.is_caught:
        state = RunState.CAUGHT_LETTERS
    elif shared.file_bytes:
        state = RunState.ATTACHED_LETTERS
    has_run = select(Run.id).where(Run.mailing_id == mailing.id, Run.scheduled_for == day_of(now))
    values = {
        "mailing_id": mailing.id,
        "state": state,
        "started_at": now,
        "scheduled_for": now if db.session.scalar(has_run) else day_of(now),
        "subject": "",
        "format": MessageFormat.TEXT,
        "body": "",
        "server_id": shared.server_id,
        # The same for all letters of a day, so that a lease does not depend on which one is claimed.
        "file_bytes": max(shared.file_bytes, largest_total()) if shared.file_bytes else 0,
        "sender_name": source.name,
        "sender_address": source.address,
        "reply_to": source.reply_to,
    }
    db.session.execute(insert_into(Run).values(values).on_conflict_do_nothing())
