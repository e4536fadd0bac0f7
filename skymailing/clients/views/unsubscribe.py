"""Unsubscribe recipients through the signed link in their letters; they need no account."""

from datetime import datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from skymailing.clients import opt_outs, suppression
from skymailing.clients.views.letter_links import Recipient, read_recipient
from skymailing.clock import utcnow
from skymailing.extensions import csrf, db
from skymailing.models import OptOutReason
from skymailing.security import BadToken
from skymailing.web.ids import read_id
from skymailing.web.labels import state_label
from skymailing.web.urls import UNSUBSCRIBE_PREFIX

bp = Blueprint("unsubscribe", __name__, url_prefix=UNSUBSCRIBE_PREFIX)
# Mail programs post here without a CSRF token (RFC 8058, one-click). The signed link is proof
# enough, and can do nothing but stop letters and undo that.
csrf.exempt(bp)


@bp.route("/<token>", methods=["GET", "POST"])
def page(token: str) -> ResponseReturnValue:
    """Ask on GET, because programs follow links automatically; act on POST, which may be repeated.

    A POST without an action is a mail program's button: it leaves the letter's topic, or everything.
    """
    try:
        recipient = read_recipient(token)
    except BadToken:
        return render_template("clients/unsubscribe_bad.html"), 404
    if recipient.owner is None:
        return render_template("clients/unsubscribe_gone.html", recipient=recipient)
    action, is_accepted = request.form.get("action", "") if request.method == "POST" else "show", True
    if request.method == "POST":
        is_accepted = act(recipient, action, utcnow())
        db.session.commit()
    return show(recipient, action, is_accepted=is_accepted)


def act(recipient: Recipient, action: str, now: datetime) -> bool:
    """Do what a person or a mail program asks for; return False if it is no longer possible."""
    whose = (recipient.owner_id, recipient.email_key)
    opt_out_id = read_id(request.form.get("opt_out"))
    match action:
        case "undo":
            return opt_outs.undo(*whose, opt_out_id, now)
        case "reason":
            reason, comment = request.form.get("reason", ""), request.form.get("comment", "")
            return opt_outs.save_reason(*whose, opt_out_id, reason, comment, now)
    opt_outs.opt_out(*whose, None if action == "everything" else recipient.topic_id, now)
    return True


def show(recipient: Recipient, action: str, *, is_accepted: bool) -> str:
    """Return the page: what the person gets now, and what can be done about it."""
    states = recipient.list_topics()
    own = next((state for state in states if state.topic.id == recipient.topic_id), None)
    return render_template(
        "clients/unsubscribe.html",
        recipient=recipient,
        topic=own.topic if own else None,
        has_left=own is not None and not own.is_received,
        suppressed=suppression.find_suppression(recipient.owner_id, recipient.email_key),
        opt_out=opt_outs.find_undoable(recipient.owner_id, recipient.email_key, utcnow()),
        has_choice=any(state is not own for state in states),
        action=action,
        is_accepted=is_accepted,
        reasons=[(reason.value, state_label(reason)) for reason in OptOutReason],
    )
