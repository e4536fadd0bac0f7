"""List and delete clients."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients import queries, tags
from skymailing.clients.deletion import delete_clients, restore_clients
from skymailing.clients.filters import ClientFilter, list_clients
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.pagination import count_up_to, paginate
from skymailing.extensions import db
from skymailing.models import Client, Removal
from skymailing.security import get_own
from skymailing.web.flashes import flash_undo

MAX_SELECTED = 1000  # clients that can be deleted at once


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the clients that match the search and have the tag, in the chosen order."""
    chosen = read_filter()
    sort = request.args.get("sort", queries.DEFAULT_ORDER)
    if sort not in queries.ORDERS:
        sort = queries.DEFAULT_ORDER
    clients = list_clients(current_user, chosen, utcnow())
    page = paginate(clients, queries.ORDERS[sort], request.args.get("cursor"))
    return render_template(
        "clients/index.html",
        page=page,
        suppressions=queries.find_suppressions(current_user.id, page),
        tags=tags.find_tags([client.id for client in page]),
        count=count_up_to(clients),
        chosen=chosen,
        is_tag_missing=not page.items and chosen.tag and not tags.find_tag(current_user.id, chosen.tag),
        sort=sort,
    )


def read_filter() -> ClientFilter:
    """Return the filter in the page's address."""
    search, tag = (queries.clean_search(request.args.get(name, "")) for name in ("q", "tag"))
    return ClientFilter(search, tag)


@bp.route("/<big:client_id>/delete", methods=["GET", "POST"])
@login_required
def delete(client_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a client; letters already sent stay in the log."""
    client = get_own(Client, client_id)
    if request.method == "POST":
        _count, deletion = delete_clients(current_user.id, [client.id], utcnow(), current_actor())
        flash_deletion(_("Client deleted."), deletion)
        db.session.commit()
        return redirect(url_for("clients.index"))
    return render_template(
        "clients/delete.html", clients=[client], selected_in=queries.count_selections([client.id])
    )


@bp.post("/delete-selected")
@login_required
def delete_selected() -> ResponseReturnValue:
    """Ask for confirmation, then delete the clients selected in the list."""
    ids = [int(text) for text in request.form.getlist("id") if text.isdecimal() and len(text) < 19]
    clients = queries.find_own_clients(current_user.id, ids[:MAX_SELECTED])
    if not clients:
        flash(_("Select clients first."), "warning")
        return redirect(url_for("clients.index"))
    if "confirmed" in request.form:
        ids = [client.id for client in clients]
        count, deletion = delete_clients(current_user.id, ids, utcnow(), current_actor())
        flash_deletion(ngettext("%(num)d client deleted.", "%(num)d clients deleted.", count), deletion)
        db.session.commit()
        return redirect(url_for("clients.index"))
    selected_in = queries.count_selections([client.id for client in clients])
    return render_template("clients/delete.html", clients=clients, selected_in=selected_in)


def flash_deletion(text: str, deletion: Removal | None) -> None:
    """Show that clients were deleted, with an undo button."""
    if deletion is not None:
        flash_undo(text, url_for("clients.undo", removal_id=deletion.id))


@bp.post("/undo/<big:removal_id>")
@login_required
def undo(removal_id: int) -> ResponseReturnValue:
    """Restore deleted clients."""
    count = restore_clients(current_user.id, removal_id, utcnow(), current_actor())
    if count is None:
        abort(404)
    db.session.commit()
    text = ngettext("%(num)d client restored.", "%(num)d clients restored.", count)
    flash(f"{text} " + _("Cancelled emails will not be sent."), "success")
    return redirect(url_for("clients.index"))
