"""Asking for the deletion of an account, and keeping it after all; adds and flushes, never commits."""

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import func, select, update

from skymailing import audit
from skymailing.audit import Actor
from skymailing.auth.services import LastAdmin, has_other_admin, lock_user, sign_out_everywhere
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.mailings.log_queries import format_time
from skymailing.models import (
    Article,
    AuditAction,
    Client,
    Mailing,
    MailingState,
    Message,
    Role,
    StateReason,
    User,
)
from skymailing.outbox import services as outbox

LETTER = "account-deletion"
ACTIVE = (MailingState.SCHEDULED, MailingState.RUNNING)


class TooLate(SkyMailingError):
    """The account is being deleted already."""


def request_deletion(user: User, now: datetime, actor: Actor, *, days: int | None = None) -> datetime:
    """Let the account be deleted when its time of grace is over; return when that is.

    Nothing of it is sent from now on, and it is signed out everywhere. Raises LastAdmin when nobody
    would be left to give roles.
    """
    is_last = user.role is Role.ADMIN and not has_other_admin(user)
    lock_user(user)
    if is_last:
        raise LastAdmin(user.email)
    if user.erasure_began_at is not None and user.deletion_at is not None:
        return user.deletion_at
    grace = current_app.config["ACCOUNT_GRACE_DAYS"] if days is None else days
    user.deletion_at = now + timedelta(days=grace)
    sign_out_everywhere(user)
    db.session.execute(
        update(Mailing)
        .where(Mailing.owner_id == user.id, Mailing.state.in_(ACTIVE))
        .values(state=MailingState.PAUSED, state_reason=StateReason.OWNER_LEAVES),
        execution_options={"synchronize_session": False},
    )
    outbox.post(user, LETTER, deletion_at=format_time(user.deletion_at), days=grace)
    audit.record(AuditAction.ACCOUNT_DELETION_ASKED, actor, user)
    db.session.flush()
    return user.deletion_at


def keep_account(user: User, now: datetime, actor: Actor) -> None:
    """Let the account stay; its mailings stay paused until their owner resumes them. Raises TooLate."""
    lock_user(user)
    if user.deletion_at is None:
        return
    if user.erasure_began_at is not None or user.deletion_at <= now:
        raise TooLate(user.email)
    user.deletion_at = None
    audit.record(AuditAction.ACCOUNT_KEPT, actor, user)
    db.session.flush()


def count_belongings(user: User) -> dict[str, int]:
    """Return how many clients, messages, mailings, mailings under way and articles the user has."""

    def count(model: type[Client] | type[Message] | type[Mailing], *conditions: object) -> int:
        statement = select(func.count()).where(model.owner_id == user.id, *conditions)  # type: ignore[arg-type]
        return db.session.scalar(statement) or 0

    articles = select(func.count()).where(Article.author_id == user.id)
    return {
        "clients": count(Client),
        "messages": count(Message),
        "mailings": count(Mailing),
        "active": count(Mailing, Mailing.state.in_(ACTIVE)),
        "articles": db.session.scalar(articles) or 0,
    }
