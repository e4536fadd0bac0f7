"""Change, export or delete many clients of the list at once."""

from collections.abc import Callable
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required
from sqlalchemy import ColumnElement, false

from skymailing import audit
from skymailing.clients import bulk, exports, queries
from skymailing.clients.deletion import delete_clients
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.clients import flash_deletion, read_filter
from skymailing.clock import utcnow
from skymailing.db.engine import LARGEST_BIG_ID, start_writing, starts_reading
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, Client
from skymailing.web.csv import BYTE_ORDER_MARK, csv_response
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import read_id

MAX_TICKED = 1000  # a page has fewer
MAX_DELETED = 1000  # an undo stores all their data
Texts = Callable[[int], str]


@bp.post("/bulk")
@login_required
@starts_reading
def bulk_action() -> ResponseReturnValue:
    """Do what the pressed button says to the ticked clients, or to all that the list shows."""
    action = request.form.get("action", "")
    if not has_choice():
        flash(_("Select clients first."), "warning")
        return redirect(back_to_list())
    try:
        return act(action)
    except UserError as error:  # also if the segment of the list's filter cannot be evaluated
        flash(explain(error), "warning")
        return redirect(back_to_list())


def act(action: str) -> ResponseReturnValue:
    """Do one action to the chosen clients; raises UserError."""
    if action == "delete":
        return delete_chosen()
    if action == "export":
        chosen = read_chosen()
        audit.record_export(AuditAction.CLIENTS_EXPORTED, audit.current_actor(), current_user)
        db.session.commit()
        return csv_response(
            exports.export_rows(current_user.id, chosen), "clients.csv", start=BYTE_ORDER_MARK
        )
    count, removal, texts = change(action, read_chosen())
    if removal is not None:
        flash_undo(texts(count), url_for("clients.bulk_undo", removal_id=removal))
    else:
        flash(texts(count), "success" if count else "info")
    db.session.commit()
    return redirect(back_to_list())


def delete_chosen() -> ResponseReturnValue:
    """Ask for confirmation, then delete the chosen clients."""
    ids = queries.find_ids(current_user.id, read_chosen(), MAX_DELETED + 1)
    if not ids:
        flash(_("Select clients first."), "warning")
        return redirect(back_to_list())
    if len(ids) > MAX_DELETED:
        flash(_("You can delete up to %(limit)s clients at once.", limit=MAX_DELETED), "warning")
        return redirect(back_to_list())
    if "confirmed" in request.form:
        start_writing()
        count, deletion = delete_clients(current_user.id, ids, utcnow(), audit.current_actor())
        flash_deletion(ngettext("%(num)d client deleted.", "%(num)d clients deleted.", count), deletion)
        db.session.commit()
        return redirect(url_for("clients.index"))
    clients = queries.find_own_clients(current_user.id, ids)
    return render_template("clients/delete.html", clients=clients, selected_in=queries.count_selections(ids))


def change(action: str, chosen: ColumnElement[bool]) -> tuple[int, int | None, Texts]:
    """Change the chosen clients; return how many were changed, the undo's ID, and the text that says so."""
    start_writing()
    owner_id, name, now = current_user.id, request.form.get("value", ""), utcnow()
    match action:
        case "tag":
            count, removal = bulk.tag_clients(owner_id, name, chosen, now)
        case "untag":
            count, removal = bulk.untag_clients(owner_id, name, chosen, now)
        case "suppress":
            count, removal = bulk.suppress_clients(owner_id, chosen, now)
        case "allow":
            count, removal = bulk.allow_clients(owner_id, chosen, now)
        case _:
            abort(400)
    return count, removal.id if removal else None, TEXTS[action]


TEXTS: dict[str, Texts] = {
    "tag": lambda count: ngettext("%(num)d client tagged.", "%(num)d clients tagged.", count),
    "untag": lambda count: ngettext(
        "The tag was removed from %(num)d client.", "The tag was removed from %(num)d clients.", count
    ),
    "suppress": lambda count: ngettext(
        "%(num)d client no longer gets mailings.", "%(num)d clients no longer get mailings.", count
    ),
    "allow": lambda count: ngettext(
        "%(num)d client gets mailings again.", "%(num)d clients get mailings again.", count
    ),
}


def has_choice() -> bool:
    return "all_matching" in request.form or bool(request.form.getlist("ids"))


def read_chosen() -> ColumnElement[bool]:
    """Return the condition on the clients that were chosen: by ticks, or all that pass the list's filter."""
    if "all_matching" in request.form:
        return read_filter(request.form).condition(current_user, utcnow())
    ids = [read_id(text, LARGEST_BIG_ID) for text in request.form.getlist("ids")[:MAX_TICKED]]
    return Client.id.in_(ids) if ids else false()


def back_to_list() -> str:
    """Return the address of the list as it was."""
    names = ("q", "tag", "segment", "status", "sort")
    values: dict[str, Any] = {name: request.form[name] for name in names if request.form.get(name)}
    return url_for("clients.index", **values)


@bp.post("/bulk/undo/<big:removal_id>")
@login_required
def bulk_undo(removal_id: int) -> ResponseReturnValue:
    """Undo an action on many clients."""
    try:
        if not bulk.undo_bulk(current_user.id, removal_id, utcnow()):
            abort(404)
    except UserError as error:
        flash(explain(error), "warning")
    else:
        flash(_("Undone."), "success")
    db.session.commit()
    return redirect(url_for("clients.index"))
