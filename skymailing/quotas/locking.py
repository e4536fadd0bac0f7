"""Lock an owner, so that two requests cannot both add the last item that a limit allows."""

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import User


def lock_owner(owner_id: int) -> None:
    """Lock the owner's row until the transaction ends; rows that refer to it can still be added.

    A stronger lock would wait for the clients of an import, which may be waiting for the caller's rows.
    """
    db.session.execute(select(User.id).where(User.id == owner_id).with_for_update(key_share=True))
