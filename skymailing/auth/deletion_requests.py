"""Request the deletion of an account, and cancel the request."""

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import func, select, update

from skymailing import audit
from skymailing.audit import Actor
from skymailing.auth.services import LastAdmin, has_other_admin, lock_user, sign_out_everywhere
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.mailings.log_queries import format_time
from skymailing.models import (
    Article,
    AuditAction,
    Client,
    Mailing,
    MailingKind,
    MailingState,
    Message,
    Role,
    StateReason,
    User,
)
from skymailing.outbox import services as outbox

LETTER = "account-deletion"
ACTIVE_STATES = (MailingState.SCHEDULED, MailingState.RUNNING)


class TooLate(UserError):
    """The account is already being deleted."""

    def __init__(self) -> None:
        super().__init__("account_deletion_started")


def request_deletion(user: User, now: datetime, actor: Actor, *, days: int | None = None) -> datetime:
    """Schedule the deletion of the account after its grace period; return the time of the deletion.

    Pauses its mailings and signs the user out everywhere. Raises LastAdmin.
    """
    is_last = user.role is Role.ADMIN and not has_other_admin(user)
    lock_user(user)
    if is_last:
        raise LastAdmin
    if user.erasure_began_at is not None and user.deletion_at is not None:
        return user.deletion_at
    grace = current_app.config["ACCOUNT_GRACE_DAYS"] if days is None else days
    user.deletion_at = now + timedelta(days=grace)
    sign_out_everywhere(user)
    db.session.execute(
        update(Mailing)
        .where(Mailing.owner_id == user.id, Mailing.state.in_(ACTIVE_STATES))
        .values(state=MailingState.PAUSED, state_reason=StateReason.ACCOUNT_DELETION),
        execution_options={"synchronize_session": False},
    )
    outbox.add_letter(user, LETTER, deletion_at=format_time(user.deletion_at), days=grace)
    audit.record(AuditAction.ACCOUNT_DELETION_ASKED, actor, user)
    db.session.flush()
    return user.deletion_at


def cancel_deletion(user: User, now: datetime, actor: Actor) -> None:
    """Cancel the deletion; the mailings remain paused until their owner resumes them. Raises TooLate."""
    lock_user(user)
    if user.deletion_at is None:
        return
    if user.erasure_began_at is not None or user.deletion_at <= now:
        raise TooLate
    user.deletion_at = None
    audit.record(AuditAction.ACCOUNT_KEPT, actor, user)
    db.session.flush()


def count_account_data(user: User) -> dict[str, int]:
    """Return how many clients, messages, mailings, active mailings and articles the user has."""

    def count(model: type[Client] | type[Message] | type[Mailing], *conditions: object) -> int:
        statement = select(func.count()).where(model.owner_id == user.id, *conditions)  # type: ignore[arg-type]
        return db.session.scalar(statement) or 0

    articles = select(func.count()).where(Article.author_id == user.id)
    return {
        "clients": count(Client),
        "messages": count(Message),
        "mailings": count(Mailing, Mailing.kind == MailingKind.MAILING),
        "active": count(Mailing, Mailing.kind == MailingKind.MAILING, Mailing.state.in_(ACTIVE_STATES)),
        "articles": db.session.scalar(articles) or 0,
    }
