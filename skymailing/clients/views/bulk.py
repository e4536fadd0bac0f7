"""Change, export or delete many clients of the list at once."""

from collections.abc import Sequence
from datetime import datetime

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from sqlalchemy import ColumnElement, false

from skymailing import audit, hints
from skymailing.clients import exports, queries
from skymailing.clients.bulk import services
from skymailing.clients.bulk.actions import Order, read_field_order, read_order
from skymailing.clients.bulk.sizes import count_fitting
from skymailing.clients.bulk.texts import describe_result, describe_undo
from skymailing.clients.deletion import delete_clients
from skymailing.clients.forms import BulkValueForm
from skymailing.clients.known_fields import suggest_fields
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.clients import back_to_list, flash_deletion, read_filter
from skymailing.clients.views.profile import SUGGESTED_FIELDS
from skymailing.clock import utcnow
from skymailing.db.engine import LARGEST_BIG_ID, start_writing, starts_reading
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import AuditAction, BulkAction, Client
from skymailing.web.csv import BYTE_ORDER_MARK, csv_response
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import read_id

MAX_SHOWN = 10  # clients listed on the page that asks for confirmation of a deletion
# Form fields that the pages for a deletion and a value do not repeat.
OWN_FIELDS = {"csrf_token", "action", "confirmed", "count", "ids", "value", "field", "field_value"}


@bp.post("/bulk")
@login_required
@starts_reading
def bulk_action() -> ResponseReturnValue:
    """Apply the action of the pressed button to the ticked clients, or to all that pass the filter."""
    if not has_choice():
        flash(_("Select clients first."), "warning")
        return redirect(back_to_list())
    try:
        return act(request.form.get("action", ""))
    except UserError as error:  # also raised if the segment in the list's filter cannot be evaluated
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(back_to_list())


def act(name: str) -> ResponseReturnValue:
    """Apply one action to the chosen clients; raises UserError."""
    if name == "export":
        chosen = read_chosen()
        audit.record_export(AuditAction.CLIENTS_EXPORTED, audit.current_actor(), current_user)
        db.session.commit()
        rows = exports.export_rows(current_user.id, chosen)
        return csv_response(rows, "clients.csv", start=BYTE_ORDER_MARK)
    if name not in set(BulkAction):
        abort(400)
    action = BulkAction(name)
    # Choose the clients now: neither the action itself nor concurrent changes may add any.
    now = utcnow()
    ids = queries.read_ids(current_user.id, read_chosen())
    if action is BulkAction.DELETE:
        return delete_chosen(ids, now)
    return change_chosen(action, ids, now)


def change_chosen(action: BulkAction, ids: Sequence[int], now: datetime) -> ResponseReturnValue:
    """Change the chosen clients, or let a worker do it if they are many or large; raises UserError."""
    form = BulkValueForm()
    if action is BulkAction.SET and not form.validate():
        return ask_for_value(form, len(ids))
    start_writing()
    if action is BulkAction.SET:
        order = read_field_order(current_user.id, form.field.data or "", form.field_value.data or "", now)
    else:
        order = read_order(current_user.id, action, request.form.get("value", ""), now)
    if len(ids) > services.AT_ONCE or count_fitting(action, ids) < len(ids):
        return start(order, ids)
    change, removal = services.change_now(current_user, order, list(ids), audit.current_actor())
    text = describe_result(action, len(change.items), change.skipped)
    if removal is not None:
        flash_undo(text, url_for("clients.bulk_undo", removal_id=removal.id))
    else:
        flash(text, "info")
    db.session.commit()
    return redirect(back_to_list())


def ask_for_value(form: BulkValueForm, count: int) -> str:
    """Return the page that shows what is wrong with a field or its value, and chooses the clients again."""
    fields = [*list_repeated(), *(("ids", text) for text in request.form.getlist("ids"))]
    known = suggest_fields(current_user)[:SUGGESTED_FIELDS]
    return render_template(
        "clients/set_value.html",
        form=form,
        count=count,
        fields=fields,
        known_fields=known,
        list_url=back_to_list(),
    )


def start(order: Order, ids: Sequence[int]) -> ResponseReturnValue:
    """Let a worker change the clients; raises UserError."""
    job = services.start_job(current_user, order, ids, audit.current_actor())
    db.session.commit()
    hints.hint_bulk_job(job.id)
    return redirect(url_for("clients.bulk_show", job_id=job.id))


def delete_chosen(ids: Sequence[int], now: datetime) -> ResponseReturnValue:
    """Ask for confirmation, then delete the chosen clients; raises UserError."""
    if not ids:
        flash(_("Select clients first."), "warning")
        return redirect(back_to_list())
    are_many = len(ids) > services.AT_ONCE
    if "confirmed" not in request.form:
        return ask_before_deletion(ids, are_many)
    start_writing()
    # For many clients, the user confirms their number; if it has changed since, ask again.
    if are_many and request.form.get("count") != str(len(ids)):
        return ask_before_deletion(ids, are_many)
    if are_many or count_fitting(BulkAction.DELETE, ids) < len(ids):
        return start(Order(current_user.id, BulkAction.DELETE, now), ids)
    count, deletion = delete_clients(current_user.id, ids, now, audit.current_actor())
    flash_deletion(describe_result(BulkAction.DELETE, count), deletion)
    db.session.commit()
    return redirect(url_for("clients.index"))


def ask_before_deletion(ids: Sequence[int], are_many: bool) -> str:
    """Return the page that shows who will be deleted, with form fields that choose them again."""
    if are_many:
        selected_in = queries.count_selections(queries.select_ids(current_user.id, read_chosen()))
        fields = [*list_repeated(), ("count", str(len(ids)))]
    else:
        selected_in = queries.count_selections(list(ids))
        fields = [("ids", str(id)) for id in ids]
    return render_template(
        "clients/delete.html",
        clients=queries.find_own_clients(current_user.id, list(ids[:MAX_SHOWN])),
        count=len(ids),
        fields=fields,
        selected_in=selected_in,
    )


def list_repeated() -> list[tuple[str, str]]:
    """Return the form fields with the list's filter, and whether all clients that pass it are chosen."""
    return [pair for pair in request.form.items(multi=True) if pair[0] not in OWN_FIELDS]


def has_choice() -> bool:
    return "all_matching" in request.form or bool(request.form.getlist("ids"))


def read_chosen() -> ColumnElement[bool]:
    """Return the condition for the chosen clients: the ticked ones, or all that pass the list's filter."""
    if "all_matching" in request.form:
        return read_filter(request.form).condition(current_user, utcnow())
    ids = [read_id(text, LARGEST_BIG_ID) for text in request.form.getlist("ids")[: services.AT_ONCE]]
    return Client.id.in_(ids) if ids else false()


@bp.post("/bulk/undo/<big:removal_id>")
@login_required
def bulk_undo(removal_id: int) -> ResponseReturnValue:
    """Undo an action on a few clients."""
    try:
        count = services.undo_now(current_user, removal_id, utcnow(), audit.current_actor())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "warning")
        return redirect(url_for("clients.index"))
    if count is None:
        abort(404)
    db.session.commit()
    flash(describe_undo(count), "success")
    return redirect(url_for("clients.index"))
