"""Unsubscribe recipients through the signed link in their letters; they need no account."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from skymailing.clients import suppression
from skymailing.clock import utcnow
from skymailing.email_addresses import mask_address
from skymailing.extensions import csrf, db
from skymailing.models import SuppressionReason, User
from skymailing.security import BadToken, read_unsubscribe_token
from skymailing.web.urls import UNSUBSCRIBE_PREFIX

bp = Blueprint("unsubscribe", __name__, url_prefix=UNSUBSCRIBE_PREFIX)
# Mail programs post here without a CSRF token (RFC 8058, one-click). The signed link is proof
# enough, and can do nothing but stop letters.
csrf.exempt(bp)


@bp.route("/<token>", methods=["GET", "POST"])
def page(token: str) -> ResponseReturnValue:
    """Ask on GET, because programs follow links automatically; unsubscribe on POST, which may be repeated."""
    try:
        owner_id, email_key = read_unsubscribe_token(token)
    except BadToken:
        return render_template("clients/unsubscribe_bad.html"), 404
    if db.session.get(User, owner_id) is None:
        # The sender deleted the account with all its data: there are no letters to stop.
        return render_template("clients/unsubscribe.html", masked=mask_address(email_key), is_done=True)
    if request.method == "POST":
        suppression.suppress(owner_id, email_key, SuppressionReason.UNSUBSCRIBED, "", utcnow())
        db.session.commit()
    is_done = request.method == "POST" or suppression.is_suppressed(owner_id, email_key)
    return render_template("clients/unsubscribe.html", masked=mask_address(email_key), is_done=is_done)
