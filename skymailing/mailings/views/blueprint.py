"""The mailings blueprint, shared by all view modules."""

from flask import Blueprint, abort, redirect, url_for

from skymailing.mailings import queries, services
from skymailing.mailings.errors import MailingError
from skymailing.mailings.recurrence_text import describe_recurrence
from skymailing.mailings.result_text import explain_reply
from skymailing.models import Mailing, MailingKind
from skymailing.security import get_own

bp = Blueprint("mailings", __name__, url_prefix="/mailings")
bp.add_app_template_filter(describe_recurrence, "recurrence")
bp.add_app_template_global(explain_reply)


def get_own_mailing(mailing_id: int, *, to_change: bool = False) -> Mailing:
    """Return the signed-in user's mailing, or abort with 404.

    `to_change` locks the mailing before a form is built from it; services lock it in any case.
    """
    mailing = get_own(Mailing, mailing_id)
    if mailing.is_caught:
        abort(404)
    if mailing.is_transactional:  # from a link in a log or a report
        abort(redirect(url_for("transactional.index")))
    if mailing.kind == MailingKind.SEQUENCE:
        abort(redirect(url_for("sequences.show", sequence_id=queries.find_sequence_id(mailing.id))))
    if to_change:
        try:
            services.lock_mailing(mailing)
        except MailingError:
            abort(404)
    return mailing
