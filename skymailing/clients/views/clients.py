"""List, create, edit, delete and suppress clients."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients import consents, queries, services, suppression
from skymailing.clients.deletion import delete_clients, restore_clients
from skymailing.clients.forms import ClientForm, make_client_form
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.pagination import count_up_to, paginate
from skymailing.extensions import db
from skymailing.models import Client, Removal, SuppressionReason
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo

MAX_SELECTED = 1000  # clients that can be deleted at once


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the clients that match the search, in the chosen order."""
    search = queries.clean_search(request.args.get("q", ""))
    sort = request.args.get("sort", queries.DEFAULT_ORDER)
    if sort not in queries.ORDERS:
        sort = queries.DEFAULT_ORDER
    clients = queries.list_clients(current_user.id, search)
    page = paginate(clients, queries.ORDERS[sort], request.args.get("cursor"))
    return render_template(
        "clients/index.html",
        page=page,
        suppressions=queries.find_suppressions(current_user.id, page),
        count=count_up_to(clients),
        search=search,
        sort=sort,
    )


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add one client."""
    form = make_client_form()
    if add_requested_pairs(form):
        return render_template("clients/edit.html", form=form, client=None)
    if form.validate_on_submit():
        try:
            services.create_client(current_user.id, form.read_values())
        except services.DuplicateClient as error:
            show_duplicate(form, error)
        except LimitReached as error:
            form.email.errors = [explain(error)]
        else:
            db.session.commit()
            flash(_("Client added."), "success")
            return redirect(url_for("clients.index"))
    return render_template("clients/edit.html", form=form, client=None)


@bp.route("/<big:client_id>/edit", methods=["GET", "POST"])
@login_required
def edit(client_id: int) -> ResponseReturnValue:
    """Edit a client and show whether the address is suppressed."""
    client = get_own(Client, client_id)
    form = make_client_form(client)
    if not add_requested_pairs(form) and form.validate_on_submit():
        try:
            services.update_client(client, form.read_values())
        except services.DuplicateClient as error:
            db.session.refresh(client)
            show_duplicate(form, error)
        else:
            db.session.commit()
            flash(_("Client saved."), "success")
            return redirect(url_for("clients.index"))
    return render_template(
        "clients/edit.html",
        form=form,
        client=client,
        suppressed=suppression.find_suppression(client.owner_id, client.email_key),
        consents=consents.list_consents(client.owner_id, client.email_key),
    )


def add_requested_pairs(form: ClientForm) -> bool:
    """Add empty custom fields if the "More fields" button was pressed; return whether it was."""
    if not form.is_submitted() or "more" not in request.form:
        return False
    form.add_blank_pairs()
    return True


def show_duplicate(form: ClientForm, error: services.DuplicateClient) -> None:
    form.email.errors = [*form.email.errors, explain(error)]


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


@bp.post("/<big:client_id>/suppress")
@login_required
def suppress(client_id: int) -> ResponseReturnValue:
    """Stop mailing a client's address at the owner's request."""
    client = get_own(Client, client_id)
    suppression.suppress(client.owner_id, client.email_key, SuppressionReason.MANUAL, "", utcnow())
    db.session.commit()
    flash(_("Mailings are no longer sent to this address."), "success")
    return redirect(url_for("clients.edit", client_id=client.id))


@bp.post("/<big:client_id>/allow")
@login_required
def allow(client_id: int) -> ResponseReturnValue:
    """Lift a suppression that the owner made; other suppressions cannot be lifted (403)."""
    client = get_own(Client, client_id)
    if not suppression.lift_manual(client.owner_id, client.email_key):
        if suppression.is_suppressed(client.owner_id, client.email_key):
            abort(403)
        return redirect(url_for("clients.edit", client_id=client.id))
    db.session.commit()
    flash(_("This client will receive mailings again."), "success")
    return redirect(url_for("clients.edit", client_id=client.id))
