"""Unsubscribe recipients through the signed link in their letters; they need no account."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from skymailing.brand.queries import find_brand
from skymailing.clients import opt_outs, suppression
from skymailing.clients.consents import Evidence
from skymailing.clients.open_choice import find_counting
from skymailing.clients.views.letter_links import Recipient, read_recipient
from skymailing.clock import utcnow
from skymailing.extensions import csrf, db
from skymailing.models import OptOutReason, SuppressionReason, User
from skymailing.models.form import AGENT_MAX_LENGTH
from skymailing.tokens import BadToken
from skymailing.web.ids import parse_big_id
from skymailing.web.labels import state_label
from skymailing.web.urls import UNSUBSCRIBE_PREFIX

bp = Blueprint("unsubscribe", __name__, url_prefix=UNSUBSCRIBE_PREFIX)
# Mail programs post here without a CSRF token (RFC 8058, one-click). The signed link is proof
# enough: it can only stop letters, undo that, and store a reason.
csrf.exempt(bp)


@bp.errorhandler(BadToken)
def show_bad_link(_error: BadToken) -> ResponseReturnValue:
    """Explain that the link does not work."""
    return render_template("clients/unsubscribe_bad.html"), 404


@bp.route("/<token>", methods=["GET", "POST"])
def page(token: str) -> ResponseReturnValue:
    """Ask on GET, because programs follow links automatically.

    POST unsubscribes from the letter's topic, or from everything if it has none, and may be repeated.
    """
    recipient = read_recipient(token)
    if request.method == "POST" and recipient.owner:
        person = recipient.owner_id, recipient.email_key
        opt_outs.opt_out(*person, recipient.topic_id, utcnow(), read_evidence())
        db.session.commit()
    return show(recipient)


@bp.post("/<token>/undo")
def undo(token: str) -> ResponseReturnValue:
    """Undo unsubscribing through this link, for a day."""
    recipient = read_recipient(token)
    person = recipient.owner_id, recipient.email_key
    is_undone = opt_outs.undo(*person, read_opt_out_id(), utcnow(), read_evidence())
    db.session.commit()
    return show(recipient, is_undone=is_undone, is_too_late=not is_undone)


@bp.post("/<token>/reason")
def give_reason(token: str) -> ResponseReturnValue:
    """Store why the person unsubscribed."""
    recipient = read_recipient(token)
    is_stored = opt_outs.save_reason(
        recipient.owner_id,
        recipient.email_key,
        read_opt_out_id(),
        request.form.get("reason", ""),
        request.form.get("comment", ""),
        utcnow(),
    )
    db.session.commit()
    return show(recipient, has_answered=is_stored, is_too_late=not is_stored)


def read_evidence() -> Evidence:
    """Return where the request came from; mail providers send one-click requests for their users."""
    return Evidence(
        (request.remote_addr or "")[:45], request.headers.get("User-Agent", "")[:AGENT_MAX_LENGTH]
    )


def read_opt_out_id() -> int:
    """Return the ID in the form of the page; 0, which no row has, if it is missing."""
    return request.form.get("opt_out", 0, type=parse_big_id)


def show(recipient: Recipient, **done: bool) -> str:
    """Return the page, which shows what the person gets now, and how to change it."""
    if recipient.owner is None:
        return render_template("clients/unsubscribe_gone.html", recipient=recipient)
    return render_template(
        "clients/unsubscribe.html", recipient=recipient, **make_context(recipient, recipient.owner), **done
    )


def make_context(recipient: Recipient, owner: User) -> dict[str, object]:
    """Return the context of the page."""
    states = recipient.list_topics()
    person = recipient.owner_id, recipient.email_key
    suppressed = suppression.find_suppression(*person)
    if suppressed and suppressed.reason is SuppressionReason.MANUAL:
        suppressed = None  # the owner can lift it, so the person can still unsubscribe
    topic_state = next((state for state in states if state.topic.id == recipient.topic_id), None)
    # The topic that the page is about; None means everything.
    left_id = topic_state.topic.id if topic_state and not suppressed else None
    return {
        "brand": find_brand(owner),
        "topic": topic_state.topic if topic_state else None,
        "has_left": topic_state is not None and not topic_state.is_received,
        "suppressed": suppressed,
        "opt_out": opt_outs.find_undoable(*person, left_id, utcnow()),
        "has_choice": bool(states),
        "has_other_choice": find_counting(recipient.owner_id).people,
        "reasons": [(reason.value, state_label(reason)) for reason in OptOutReason],
    }
