"""Actions on a mailing: start, pause, resume and cancel it. Repeating an action is harmless."""

from collections.abc import Callable
from typing import Any

from skymailing.api.schemas.mailings import MailingSchema
from skymailing.api.scopes import Scope
from skymailing.api.views.authentication import require_live, require_sending
from skymailing.api.views.blueprint import Resource, after_commit
from skymailing.api.views.mailings import describe, find_own
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.dispatch import dispatch_mailings
from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.models import Mailing

bp = Resource("mailing_actions", "Start, pause, resume and cancel mailings.")


@bp.operation(
    "POST /mailings/<int:mailing_id>/start",
    Scope.MAILINGS_SEND,
    gives=MailingSchema,
    starts_reading=True,
    tests=True,
)
def start_mailing(mailing_id: int) -> Any:
    """Start a draft or scheduled mailing now. A test key can start only mailings added with test keys."""
    mailing, now = find_own(mailing_id), utcnow()
    require_sending(mailing)
    obstacle = services.find_obstacle(mailing, now)
    start_writing()
    return apply(mailing_id, lambda mailing: services.start_now(mailing, now, obstacle))


@bp.operation("POST /mailings/<int:mailing_id>/pause", Scope.MAILINGS_WRITE, gives=MailingSchema, tests=True)
def pause_mailing(mailing_id: int) -> Any:
    """Stop sending until the mailing is resumed."""
    return apply(mailing_id, lambda mailing: services.pause_mailing(mailing, utcnow()))


@bp.operation("POST /mailings/<int:mailing_id>/resume", Scope.MAILINGS_SEND, gives=MailingSchema, tests=True)
def resume_mailing(mailing_id: int) -> Any:
    """Continue a paused mailing where it stopped."""
    require_sending(find_own(mailing_id))
    return apply(mailing_id, lambda mailing: services.resume_mailing(mailing, utcnow(), current_actor()))


@bp.operation("POST /mailings/<int:mailing_id>/cancel", Scope.MAILINGS_WRITE, gives=MailingSchema, tests=True)
def cancel_mailing(mailing_id: int) -> Any:
    """Cancel the letters that have not been sent, permanently."""
    return apply(mailing_id, lambda mailing: services.cancel_mailing(mailing, utcnow()))


def apply(mailing_id: int, action: Callable[[Mailing], object]) -> dict[str, Any]:
    """Apply a service to the owner's mailing, and pass the mailing to workers after the commit."""
    mailing = find_own(mailing_id)
    require_live(mailing)
    action(mailing)
    db.session.flush()
    after_commit(lambda: dispatch_mailings([mailing_id], utcnow()))
    return describe(mailing)
