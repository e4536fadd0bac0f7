"""Unsubscribing: pages for people without an account, reached by a signed link."""

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
# Mail programs post by themselves when their user asks them to (RFC 8058, one-click); the signed
# link is the proof, and all that it can do is to stop letters.
csrf.exempt(bp)


@bp.route("/<token>", methods=["GET", "POST"])
def page(token: str) -> ResponseReturnValue:
    """Ask on GET, since programs follow links by themselves; unsubscribe on POST, however often."""
    try:
        owner_id, email_key = read_unsubscribe_token(token)
    except BadToken:
        return render_template("clients/unsubscribe_bad.html"), 404
    if db.session.get(User, owner_id) is None:
        # The sender has left with everything, the address included: there are no letters to stop.
        return render_template("clients/unsubscribe.html", masked=mask_address(email_key), is_done=True)
    if request.method == "POST":
        suppression.suppress(owner_id, email_key, SuppressionReason.UNSUBSCRIBED, "", utcnow())
        db.session.commit()
    is_done = request.method == "POST" or suppression.is_suppressed(owner_id, email_key)
    return render_template("clients/unsubscribe.html", masked=mask_address(email_key), is_done=is_done)
