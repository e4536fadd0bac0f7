"""The pages of mail servers."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import hints
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import SmtpServer
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.servers import queries, services
from skymailing.servers.forms import ServerForm, fill_in
from skymailing.servers.services import ServerError
from skymailing.web.error_texts import explain
from skymailing.web.responses import respond_if_changed

bp = Blueprint("servers", __name__, url_prefix="/senders/servers")
BLUEPRINTS = (bp,)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's mail servers; with ?seen, only the part that changes during tests."""
    servers = queries.list_servers(current_user.id)
    is_live = any(server.is_being_tested for server in servers)
    is_part = "seen" in request.args
    template = "servers/_list.html" if is_part else "servers/index.html"
    page = render_template(template, servers=servers, is_live=is_live)
    return respond_if_changed(page) if is_part else page


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add a mail server, and test it."""
    form = ServerForm(data={"sessions": 2})
    if form.validate_on_submit():
        try:
            services.add_server(current_user, form.values, utcnow(), current_actor())
        except (ServerError, LimitReached) as error:
            show_error(form, error)
        else:
            return finish()
    return render_template("servers/form.html", form=form, server=None)


@bp.route("/<int:server_id>/edit", methods=["GET", "POST"])
@login_required
def edit(server_id: int) -> ResponseReturnValue:
    """Change a mail server, and test it again."""
    server = get_own(SmtpServer, server_id)
    form = ServerForm(data=fill_in(server))
    if form.validate_on_submit():
        try:
            services.change_server(server, form.values, utcnow(), current_actor())
        except (ServerError, LimitReached) as error:
            show_error(form, error)
            server = get_own(SmtpServer, server_id)
        else:
            return finish()
    return render_template("servers/form.html", form=form, server=server)


def show_error(form: ServerForm, error: ServerError | LimitReached) -> None:
    """Roll back the changes, and show the error in the form."""
    db.session.rollback()
    field = getattr(error, "field", "")
    if field:
        form[field].errors = [*form[field].errors, explain(error)]
    else:
        form.form_errors = [explain(error)]


def finish() -> ResponseReturnValue:
    """Commit a saved server, and let a worker test it."""
    db.session.commit()
    hints.hint_server_tests()
    flash(_("Mail server saved."), "success")
    return redirect(url_for("servers.index"))


@bp.post("/<int:server_id>/test")
@login_required
def test(server_id: int) -> ResponseReturnValue:
    """Let a worker test the connection."""
    server = get_own(SmtpServer, server_id)
    try:
        services.request_test(server, utcnow())
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        db.session.commit()
        hints.hint_server_tests()
    return redirect(url_for("servers.index"))


@bp.route("/<int:server_id>/delete", methods=["GET", "POST"])
@login_required
def delete(server_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a mail server that is not in use."""
    server = get_own(SmtpServer, server_id)
    refusal = None
    try:
        services.check_unused(server)
        if request.method == "POST":
            services.delete_server(server, current_actor())
            db.session.commit()
            flash(_("Mail server deleted."), "success")
            return redirect(url_for("servers.index"))
    except ServerError as error:
        refusal = explain(error)
    page = render_template("servers/delete.html", server=server, refusal=refusal)
    return page, 409 if refusal and request.method == "POST" else 200
