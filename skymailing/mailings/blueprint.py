"""The blueprint of mailings; three files of views share it."""

from flask import Blueprint, abort
from flask_login import current_user
from sqlalchemy import select

from skymailing.extensions import db
from skymailing.models import Mailing

bp = Blueprint("mailings", __name__, url_prefix="/mailings")


def get_own_mailing(mailing_id: int, *, to_change: bool = False) -> Mailing:
    """Return the signed-in user's mailing, locked against workers when it is going to change; else 404."""
    statement = select(Mailing).where(Mailing.id == mailing_id, Mailing.owner_id == current_user.id)
    if to_change:
        statement = statement.with_for_update(of=Mailing)
    mailing = db.session.scalar(statement.execution_options(populate_existing=True))
    if mailing is None:
        abort(404)
    return mailing
