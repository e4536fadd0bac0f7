"""Merge two clients who are the same person, and undo it."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients import merging, queries
from skymailing.clients.search.matching import clean_search
from skymailing.clients.suppression import REQUESTED_BY_CLIENT
from skymailing.clients.tags import find_tags
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.engine import LARGEST_BIG_ID
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import read_id


@bp.route("/<big:client_id>/merge", methods=["GET", "POST"])
@login_required
def merge(client_id: int) -> ResponseReturnValue:
    """Find the other client, compare both, and merge them."""
    client = get_own(Client, client_id)
    other = find_other(client)
    if other is None:
        return choose_other(client)
    if request.method == "POST":
        return merge_both(client, other)
    both = [client, other]
    suppressions = queries.find_suppressions(current_user.id, both)
    return render_template(
        "clients/merge.html",
        client=client,
        both=both,
        keys=dict.fromkeys(key for one in both for key, value in one.attributes.items() if value),
        tags=find_tags([one.id for one in both]),
        suppressions=suppressions,
        is_unwanted=any(reason in REQUESTED_BY_CLIENT for reason in suppressions.values()),
    )


def choose_other(client: Client) -> str:
    """Show the clients that a search finds, so that the user can choose the other one."""
    search, found = clean_search(request.args.get("q", "")), []
    try:
        with limit_time():
            found = queries.find_similar(client, search) if search else []
    except TookTooLong as error:
        flash(explain(error), "warning")
    return render_template("clients/merge_search.html", client=client, search=search, found=found)


def find_other(client: Client) -> Client | None:
    """Return the other client that the request names; 404 if it is someone else's."""
    text = request.values.get("other", "")
    if not text:
        return None
    other = get_own(Client, read_id(text, LARGEST_BIG_ID))
    return other if other is not client else None


def merge_both(client: Client, other: Client) -> ResponseReturnValue:
    """Merge the two clients into the one whose address is kept."""
    is_other = read_id(request.form.get("keep", ""), LARGEST_BIG_ID) == other.id
    kept, removed = (other, client) if is_other else (client, other)
    kept_id = kept.id
    try:
        removal = merging.merge_clients(kept, removed, utcnow(), current_actor())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(url_for("clients.index"))
    flash_undo(_("The clients were merged."), url_for("clients.merge_undo", removal_id=removal.id))
    db.session.commit()
    return redirect(url_for("clients.show", client_id=kept_id))


@bp.post("/merge/undo/<big:removal_id>")
@login_required
def merge_undo(removal_id: int) -> ResponseReturnValue:
    """Restore the client that was merged into another one."""
    try:
        client = merging.undo_merge(current_user.id, removal_id, utcnow(), current_actor())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(url_for("clients.index"))
    if client is None:
        abort(404)
    client_id = client.id
    db.session.commit()
    flash(_("The clients were separated.") + " " + _("Cancelled emails will not be sent."), "success")
    return redirect(url_for("clients.show", client_id=client_id))
