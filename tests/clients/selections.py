"""Read which clients are selected in a mailing."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, mailing_clients


def list_selected(session: Session, mailing_id: int) -> list[str]:
    """Return the addresses of the clients, sorted."""
    statement = select(Client.email).join(mailing_clients).where(mailing_clients.c.mailing_id == mailing_id)
    return sorted(session.scalars(statement))
