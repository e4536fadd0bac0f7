"""Save and delete views of the list of clients."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients import saved_views
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.clients import LIST_FIELDS, read_arguments, render_list
from skymailing.db.engine import start_reading
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo

SHOWN = (*LIST_FIELDS, "page", "cursor")


@bp.get("/views")
@login_required
def open_view() -> ResponseReturnValue:
    """Show the list: the links of a page with a rejected name lead here."""
    return show_list({name: request.args[name] for name in SHOWN if name in request.args})


@bp.post("/views")
@login_required
def save_view() -> ResponseReturnValue:
    """Save the list's filter and order, which the URL has, under a name."""
    name, arguments = request.form.get("name", ""), read_arguments(request.args)
    try:
        is_replaced = saved_views.save_view(current_user.id, name, arguments)
    except UserError as error:
        db.session.rollback()
        start_reading()  # a search must not block other writers on SQLite
        return render_list(view_name=name, view_error=explain(error))
    db.session.commit()
    flash(_("View updated.") if is_replaced else _("View saved."), "success")
    return show_list(arguments)


@bp.post("/views/delete")
@login_required
def delete_view() -> ResponseReturnValue:
    """Delete a view, with an undo button; nothing happens if another window has already deleted it."""
    deleted = saved_views.delete_view(current_user.id, request.form.get("name", ""))
    db.session.commit()
    if deleted is None:
        return show_list({})
    described: dict[str, Any] = {"name": deleted.name, **deleted.arguments}
    flash_undo(_("View “%(name)s” deleted.", name=deleted.name), url_for("clients.restore_view", **described))
    return show_list(deleted.arguments)


@bp.post("/views/undo")
@login_required
def restore_view() -> ResponseReturnValue:
    """Undo the deletion of a view, which the URL describes."""
    arguments = read_arguments(request.args)
    try:
        saved_views.restore_view(current_user.id, request.args.get("name", ""), arguments)
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        db.session.commit()
    return show_list(arguments)


def show_list(arguments: Mapping[str, Any]) -> ResponseReturnValue:
    """Redirect to the list with these arguments."""
    return redirect(url_for("clients.index", **arguments))
