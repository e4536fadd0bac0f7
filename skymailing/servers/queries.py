"""Read the mail servers that an owner may use, and the senders and runs that use them."""

from sqlalchemy import exists, select

from skymailing.extensions import db
from skymailing.models import OPEN_RUN_STATES, Run, Sender, SmtpServer


def list_servers(owner_id: int | None) -> list[SmtpServer]:
    """Return the owner's servers, or those for everyone if there is no owner, ordered by name."""
    statement = select(SmtpServer).where(SmtpServer.owner_id == owner_id)
    return list(db.session.scalars(statement.order_by(SmtpServer.name, SmtpServer.id)))


def list_choices(owner_id: int) -> list[SmtpServer]:
    """Return the servers that the owner's senders can use: the owner's own, then those for everyone."""
    return [*list_servers(owner_id), *list_servers(None)]


def find_choice(owner_id: int, server_id: int) -> SmtpServer | None:
    """Return one of the servers that the owner's senders can use; it cannot be deleted until the commit."""
    is_allowed = (SmtpServer.owner_id == owner_id) | SmtpServer.owner_id.is_(None)
    chosen = select(SmtpServer).where(SmtpServer.id == server_id, is_allowed)
    return db.session.scalar(chosen.with_for_update(read=True, key_share=True))


def list_server_senders(server_id: int) -> list[str]:
    """Return the addresses of the senders that use a server."""
    uses = select(Sender.address).where(Sender.server_id == server_id)
    return list(db.session.scalars(uses.order_by(Sender.address_key)))


def is_used_by_open_run(server_id: int) -> bool:
    """Return whether an unfinished run uses the server."""
    open_run = exists().where(Run.state.in_(OPEN_RUN_STATES), Run.server_id == server_id)
    return bool(db.session.scalar(select(open_run)))


def has_test_requests() -> bool:
    """Return whether any server is waiting for its test."""
    waiting = exists().where(SmtpServer.test_requested_at.is_not(None))
    return bool(db.session.scalar(select(waiting)))
