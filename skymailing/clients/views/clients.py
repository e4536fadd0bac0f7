"""Pages of clients."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients import queries, services, suppression
from skymailing.clients.forms import ClientForm, make_client_form
from skymailing.clients.removal import delete_clients, restore_clients
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.pagination import count_up_to, paginate
from skymailing.extensions import db
from skymailing.models import Client, Removal, SuppressionReason
from skymailing.security import get_own
from skymailing.web.flashes import flash_undo

MAX_SELECTED = 1000  # clients deleted at once from the list


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the address book, searched and sorted."""
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
    if wants_more_pairs(form):
        return render_template("clients/edit.html", form=form, client=None)
    if form.validate_on_submit():
        try:
            services.create_client(current_user.id, form.read_values())
        except services.DuplicateClient:
            show_duplicate(form)
        else:
            db.session.commit()
            flash(_("The client was added."), "success")
            return redirect(url_for("clients.index"))
    return render_template("clients/edit.html", form=form, client=None)


@bp.route("/<big:client_id>/edit", methods=["GET", "POST"])
@login_required
def edit(client_id: int) -> ResponseReturnValue:
    """Change a client, and see whether letters may go there."""
    client = get_own(Client, client_id)
    form = make_client_form(client)
    if not wants_more_pairs(form) and form.validate_on_submit():
        try:
            services.update_client(client, form.read_values())
        except services.DuplicateClient:
            db.session.refresh(client)
            show_duplicate(form)
        else:
            db.session.commit()
            flash(_("The client was saved."), "success")
            return redirect(url_for("clients.index"))
    return render_template(
        "clients/edit.html",
        form=form,
        client=client,
        suppressed=suppression.find_suppression(client.owner_id, client.email_key),
    )


def wants_more_pairs(form: ClientForm) -> bool:
    """Whether the form was sent only to get more room for values; makes the room."""
    if not form.is_submitted() or "more" not in request.form:
        return False
    form.add_blank_pairs()
    return True


def show_duplicate(form: ClientForm) -> None:
    form.email.errors = [*form.email.errors, _("You already have a client with this address.")]


@bp.route("/<big:client_id>/delete", methods=["GET", "POST"])
@login_required
def delete(client_id: int) -> ResponseReturnValue:
    """Ask, then delete a client; the log keeps what was sent."""
    client = get_own(Client, client_id)
    if request.method == "POST":
        _count, removal = delete_clients(current_user.id, [client.id], utcnow(), current_actor())
        tell_of_deletion(_("The client was deleted."), removal)
        db.session.commit()
        return redirect(url_for("clients.index"))
    return render_template(
        "clients/delete.html", clients=[client], selected_in=queries.count_selections([client.id])
    )


@bp.post("/delete-selected")
@login_required
def delete_selected() -> ResponseReturnValue:
    """Ask about the clients ticked in the list, then delete them."""
    ids = [int(text) for text in request.form.getlist("id") if text.isdecimal() and len(text) < 19]
    clients = queries.find_own_clients(current_user.id, ids[:MAX_SELECTED])
    if not clients:
        flash(_("Tick the clients first."), "warning")
        return redirect(url_for("clients.index"))
    if "confirmed" in request.form:
        ids = [client.id for client in clients]
        count, removal = delete_clients(current_user.id, ids, utcnow(), current_actor())
        tell_of_deletion(
            ngettext("%(num)d client was deleted.", "%(num)d clients were deleted.", count), removal
        )
        db.session.commit()
        return redirect(url_for("clients.index"))
    selected_in = queries.count_selections([client.id for client in clients])
    return render_template("clients/delete.html", clients=clients, selected_in=selected_in)


def tell_of_deletion(text: str, removal: Removal | None) -> None:
    if removal is not None:
        flash_undo(text, url_for("clients.undo", removal_id=removal.id))


@bp.post("/undo/<big:removal_id>")
@login_required
def undo(removal_id: int) -> ResponseReturnValue:
    """Bring deleted clients back."""
    count = restore_clients(current_user.id, removal_id, utcnow(), current_actor())
    if count is None:
        abort(404)
    db.session.commit()
    text = ngettext("%(num)d client is back.", "%(num)d clients are back.", count)
    flash(f"{text} " + _("Letters that were cancelled with the deletion stay cancelled."), "success")
    return redirect(url_for("clients.index"))


@bp.post("/<big:client_id>/suppress")
@login_required
def suppress(client_id: int) -> ResponseReturnValue:
    """Never mail a client's address again, by the owner's own decision."""
    client = get_own(Client, client_id)
    suppression.suppress(client.owner_id, client.email_key, SuppressionReason.MANUAL, "", utcnow())
    db.session.commit()
    flash(_("No letter will go to this address any more."), "success")
    return redirect(url_for("clients.edit", client_id=client.id))


@bp.post("/<big:client_id>/allow")
@login_required
def allow(client_id: int) -> ResponseReturnValue:
    """Take the owner's own decision back; nobody else's."""
    client = get_own(Client, client_id)
    if not suppression.lift_manual(client.owner_id, client.email_key):
        if suppression.is_suppressed(client.owner_id, client.email_key):
            abort(403)
        return redirect(url_for("clients.edit", client_id=client.id))
    db.session.commit()
    flash(_("Letters may go to this address again."), "success")
    return redirect(url_for("clients.edit", client_id=client.id))
