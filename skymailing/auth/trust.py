"""Trust accounts: lift the limits for new accounts."""

from datetime import datetime

from skymailing import audit
from skymailing.audit import Actor
from skymailing.auth.services import NotAllowed, lock_user
from skymailing.extensions import db
from skymailing.models import AuditAction, User


def trust_user(user: User, reason: str, now: datetime, actor: Actor) -> None:
    """Lift the limits for new accounts for the user. Raises NotAllowed for the actor's own account."""
    lock_user(user)
    if user.id == actor.id:
        raise NotAllowed
    if user.trusted_at is None:
        user.trusted_at = now
        audit.record(AuditAction.USER_TRUSTED, actor, user, reason)
        db.session.flush()
