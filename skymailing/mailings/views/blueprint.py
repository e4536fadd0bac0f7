"""The mailings blueprint, shared by all view modules."""

from flask import Blueprint, abort, redirect, url_for
from flask_login import current_user
from sqlalchemy import select

from skymailing.extensions import db
from skymailing.mailings import services
from skymailing.mailings.errors import MailingError
from skymailing.mailings.recurrence_text import describe_recurrence
from skymailing.models import Mailing, MailingKind, SequenceStep

bp = Blueprint("mailings", __name__, url_prefix="/mailings")
bp.add_app_template_filter(describe_recurrence, "recurrence")


def get_own_mailing(mailing_id: int, *, to_change: bool = False) -> Mailing:
    """Return the signed-in user's mailing, or abort with 404.

    `to_change` locks the mailing before a form is built from it; services lock it in any case.
    """
    mailing = db.session.scalar(
        select(Mailing).where(Mailing.id == mailing_id, Mailing.owner_id == current_user.id)
    )
    if mailing is None:
        abort(404)
    if mailing.is_caught:
        abort(404)
    if mailing.is_transactional:  # from a link in a log or a report
        abort(redirect(url_for("transactional.index")))
    if mailing.kind == MailingKind.SEQUENCE:
        step = select(SequenceStep.sequence_id).where(SequenceStep.mailing_id == mailing.id)
        abort(redirect(url_for("sequences.show", sequence_id=db.session.scalar(step))))
    if to_change:
        try:
            services.lock_mailing(mailing)
        except MailingError:
            abort(404)
    return mailing
