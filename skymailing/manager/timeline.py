"""What happened to an account, from the tables that record it anyway; there is no table of events.

Each source is one SELECT of `at`, `kind` and `ref` in `_select_events`. A page of their union is read first,
then `_load` fetches the rows that it names. To add a kind of event: a member of `EventKind`, its source, its
loader in `LOADERS` unless `ref` says everything, and its sentence in `templates/manager/_timeline.html`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, literal, literal_column, select, union_all
from sqlalchemy.orm import joinedload

from skymailing.auth.identities import LETTER as IDENTITY_LETTER
from skymailing.auth.passkeys import LETTER as PASSKEY_LETTER
from skymailing.auth.two_factor import LETTER as TWO_FACTOR_LETTER
from skymailing.db.pagination import Page, paginate
from skymailing.extensions import db
from skymailing.mailings.queries import count_runs
from skymailing.models import (
    CAUGHT_KINDS,
    AuditAction,
    AuditEntry,
    AuditKind,
    ClientImport,
    Mailing,
    MailingKind,
    OutboxLetter,
    Reputation,
    Role,
    Run,
    UsageHour,
    UsageKind,
    User,
    UserSession,
)

EVENTS_PER_PAGE = 30
NEW_DEVICE_LETTER = "new-device"
# Letters to the user about changes to the sign-in.
NOTICES = (NEW_DEVICE_LETTER, PASSKEY_LETTER, IDENTITY_LETTER, TWO_FACTOR_LETTER, "password-changed")
SAME_SIGN_IN = timedelta(seconds=5)  # between a session and the letter about its new device
# What managers do to others belongs to the timelines of those.
MANAGEMENT = (
    AuditAction.USER_BLOCKED,
    AuditAction.USER_UNBLOCKED,
    AuditAction.USER_TRUSTED,
    AuditAction.ROLE_CHANGED,
    AuditAction.TWO_FACTOR_LIFTED,
    AuditAction.MAILING_DISABLED,
    AuditAction.MAILING_ENABLED,
    AuditAction.ARTICLE_CREATED,
    AuditAction.ARTICLE_EDITED,
    AuditAction.ARTICLE_DELETED,
)


class EventKind(StrEnum):
    """Where an event comes from, and what its `ref` is."""

    AUDIT = "audit"
    COMPLAINTS = "complaints"  # about letters of that hour; `ref` is their number
    CONFIRMED = "confirmed"
    DISABLED = "disabled"  # a mailing
    IMPORT = "import"
    MAILING = "mailing"  # created
    NOTICE = "notice"  # a letter about a change to the sign-in
    PAUSED = "paused"  # all mailings
    REGISTERED = "account"  # before "confirmed", if both have the same time
    RUN = "run"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `item` is the row that it is about, or the number in `ref`."""

    at: datetime
    kind: EventKind
    item: Any


def list_events(user: User, cursor: str | None) -> Page:
    """Return a page of the account's events, newest first."""
    events = union_all(*_select_events(user)).subquery()
    order = [(events.c.at, True), (events.c.kind, True), (events.c.ref, True)]
    page = paginate(select(events.c.at, events.c.kind, events.c.ref), order, cursor, EVENTS_PER_PAGE)
    return replace(page, items=_load(page.items))


def _select_events(user: User) -> list[Select[Any]]:
    own = User.id == user.id
    complaints = (UsageHour.owner_id == user.id) & (UsageHour.kind == UsageKind.COMPLAINTS)
    paused = (Reputation.owner_id == user.id) & Reputation.paused_at.is_not(None)
    notices = (OutboxLetter.user_id == user.id) & OutboxLetter.template.in_(NOTICES)
    sessions = UserSession.id.in_(_find_unannounced_sessions(user))
    return [
        _select(EventKind.REGISTERED, User.created_at, User.id).where(own),
        _select(EventKind.CONFIRMED, User.confirmed_at, User.id).where(own, User.confirmed_at.is_not(None)),
        _select(EventKind.SESSION, UserSession.created_at, UserSession.id).where(sessions),
        _select(EventKind.NOTICE, OutboxLetter.created_at, OutboxLetter.id).where(notices),
        _select(EventKind.COMPLAINTS, UsageHour.begins_at, UsageHour.count).where(complaints),
        _select(EventKind.PAUSED, Reputation.paused_at, Reputation.owner_id).where(paused),
        *_select_work(user),
        *_select_audit(user),
    ]


def _select_work(user: User) -> list[Select[Any]]:
    """Select what the user did: imports, mailings and their runs."""
    of_user = Mailing.owner_id == user.id
    imports = _select(EventKind.IMPORT, ClientImport.created_at, ClientImport.id)
    mailings = _select(EventKind.MAILING, Mailing.created_at, Mailing.id)
    disabled = _select(EventKind.DISABLED, Mailing.disabled_at, Mailing.id)
    runs = _select(EventKind.RUN, Run.started_at, Run.id).join(Run.mailing)
    return [
        imports.where(ClientImport.owner_id == user.id),
        mailings.where(of_user, Mailing.kind == MailingKind.MAILING),
        disabled.where(of_user, Mailing.disabled_at.is_not(None)),
        runs.where(of_user, Mailing.kind.not_in(CAUGHT_KINDS)),
    ]


def _select(kind: EventKind, at: Any, ref: Any) -> Select[Any]:
    return select(at.label("at"), literal(kind.value).label("kind"), cast(ref, BigInteger).label("ref"))


def _select_audit(user: User) -> list[Select[Any]]:
    """Select what was done to the account, and what its user did to anything else."""
    # Exactly as in the partial index.
    is_about_user: ColumnElement[bool] = literal_column("audit_entries.kind = 'user'")
    entries = _select(EventKind.AUDIT, AuditEntry.at, AuditEntry.id)
    is_about_others = (AuditEntry.kind != AuditKind.USER) | (AuditEntry.target_id != user.id)
    return [
        entries.where(is_about_user, AuditEntry.target_id == user.id),
        entries.where(AuditEntry.actor_id == user.id, AuditEntry.action.not_in(MANAGEMENT), is_about_others),
    ]


def _find_unannounced_sessions(user: User) -> list[int]:
    """Return the IDs of the user's sessions without those that a letter about a new device reports."""
    letters = select(OutboxLetter.created_at).where(
        OutboxLetter.user_id == user.id, OutboxLetter.template == NEW_DEVICE_LETTER
    )
    announced = list(db.session.scalars(letters))
    sessions = select(UserSession.id, UserSession.created_at).where(UserSession.user_id == user.id)
    return [
        session_id
        for session_id, began_at in db.session.execute(sessions).tuples()
        if all(abs(at - began_at) > SAME_SIGN_IN for at in announced)
    ]


def _load(rows: Iterable[Any]) -> list[Event]:
    """Fetch what the events are about; an event whose row has just been deleted is left out."""
    rows = list(rows)
    ids: dict[EventKind, set[int]] = defaultdict(set)
    for row in rows:
        ids[EventKind(row.kind)].add(row.ref)
    items = {kind: LOADERS[kind](found) for kind, found in ids.items() if kind in LOADERS}
    events = []
    for row in rows:
        kind = EventKind(row.kind)
        item = items[kind].get(row.ref) if kind in LOADERS else row.ref
        if item:
            events.append(Event(row.at, kind, item))
    return events


def _load_rows(key: Any) -> Callable[[Collection[int]], dict[int, Any]]:
    """Return a loader for the rows of a model, by this key."""

    def load(ids: Collection[int]) -> dict[int, Any]:
        rows = db.session.scalars(select(key.class_).where(key.in_(ids)))
        return {getattr(row, key.key): row for row in rows}

    return load


def _load_runs(ids: Collection[int]) -> dict[int, Any]:
    """Return the ledgers of the runs."""
    runs = db.session.scalars(select(Run).where(Run.id.in_(ids)).options(joinedload(Run.mailing))).all()
    return {ledger.run.id: ledger for ledger in count_runs(runs)}


LOADERS: dict[EventKind, Callable[[Collection[int]], dict[int, Any]]] = {
    EventKind.AUDIT: _load_rows(AuditEntry.id),
    EventKind.DISABLED: _load_rows(Mailing.id),
    EventKind.IMPORT: _load_rows(ClientImport.id),
    EventKind.MAILING: _load_rows(Mailing.id),
    EventKind.NOTICE: _load_rows(OutboxLetter.id),
    EventKind.PAUSED: _load_rows(Reputation.owner_id),
    EventKind.RUN: _load_runs,
    EventKind.SESSION: _load_rows(UserSession.id),
}


def may_see_actor(viewer: User, entry: AuditEntry) -> bool:
    """Return whether the viewer may see who did it: managers see only their own actions and the user's."""
    return viewer.role is Role.ADMIN or entry.actor_id in (viewer.id, entry.target_id)
