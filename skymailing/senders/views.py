"""The pages of senders, and the public page that confirms one."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from flask_wtf import FlaskForm
from wtforms.fields import SelectChoice

from skymailing import queue
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.delivery.senders import find_problem, service_address
from skymailing.domains.queries import is_signed, list_domains
from skymailing.email_addresses import display_address
from skymailing.extensions import db
from skymailing.models import Sender
from skymailing.outbox.sender_tokens import read_sender_token
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.senders import queries, services
from skymailing.senders.forms import SenderForm
from skymailing.servers.queries import list_choices
from skymailing.tokens import BadToken
from skymailing.web.error_texts import explain

bp = Blueprint("senders", __name__, url_prefix="/senders")
BLUEPRINTS = (bp,)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's senders."""
    senders = queries.list_senders(current_user.id)
    domains = list_domains(current_user.id)
    service = service_address()
    # Only the installation's mail server can sign with these domains.
    keys = [sender.address_key for sender in senders if sender.server_id is None]
    unsigned = {key.rpartition("@")[2] for key in keys if not is_signed(domains, key)}
    return render_template(
        "senders/index.html",
        senders=senders,
        service_address=service,
        find_problem=find_problem,
        domains=domains,
        unsigned_domains=sorted(unsigned - {service.rpartition("@")[2].lower()}),
    )


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add a sender, and request its confirmation."""
    has_default = any(sender.is_default for sender in queries.list_senders(current_user.id))
    form = SenderForm(data={"is_default": not has_default})
    form.server.choices = list_server_choices()
    if form.validate_on_submit():
        try:
            sender = services.add_sender(current_user, form.values, utcnow())
        except (services.SenderError, LimitReached) as error:
            show_error(form, error)
        else:
            return finish(sender)
    return render_template("senders/form.html", form=form, sender=None)


@bp.route("/<int:sender_id>/edit", methods=["GET", "POST"])
@login_required
def edit(sender_id: int) -> ResponseReturnValue:
    """Change a sender; a new address has to be confirmed."""
    sender = get_own(Sender, sender_id)
    names = ("address", "name", "reply_to", "is_default")
    values = {name: getattr(sender, name) for name in names}
    form = SenderForm(data=values | {"server": sender.server_id or 0})
    form.server.choices = list_server_choices()
    if form.validate_on_submit():
        try:
            services.change_sender(sender, form.values, utcnow())
        except (services.SenderError, LimitReached) as error:
            show_error(form, error)
            sender = get_own(Sender, sender_id)
        else:
            return finish(sender)
    return render_template("senders/form.html", form=form, sender=sender)


def list_server_choices() -> list[SelectChoice]:
    """Return the choices: 0 for the installation's mail server, then those that the senders can use."""
    servers = list_choices(current_user.id)
    choices = [SelectChoice(server.id, f"{server.name} ({server.host})") for server in servers]
    return [SelectChoice(0, _("The mail server of this service")), *choices]


def show_error(form: SenderForm, error: services.SenderError | LimitReached) -> None:
    """Roll back the changes, and show the error in the form."""
    db.session.rollback()
    field = getattr(error, "field", "")
    if field:
        form[field].errors = [*form[field].errors, explain(error)]
    else:
        form.form_errors = [explain(error)]


def finish(sender: Sender) -> ResponseReturnValue:
    """Commit a saved sender, and report whether it has to be confirmed."""
    address, is_confirmed = display_address(sender.address), sender.is_confirmed
    db.session.commit()
    if is_confirmed:
        flash(_("Sender saved."), "success")
    else:
        queue.enqueue("send_outbox")
        flash(
            _("Sender saved. Now open the link in the email that we sent to %(address)s.", address=address),
            "success",
        )
    return redirect(url_for("senders.index"))


@bp.post("/<int:sender_id>/confirmation")
@login_required
def resend(sender_id: int) -> ResponseReturnValue:
    """Send the confirmation link again."""
    sender = get_own(Sender, sender_id)
    address = display_address(sender.address)
    try:
        services.request_confirmation(sender, utcnow())
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        db.session.commit()
        queue.enqueue("send_outbox")
        flash(_("We sent a confirmation link to %(address)s.", address=address), "success")
    return redirect(url_for("senders.index"))


@bp.route("/<int:sender_id>/delete", methods=["GET", "POST"])
@login_required
def delete(sender_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a sender that no unfinished mailing uses."""
    sender = get_own(Sender, sender_id)
    refusal = None
    try:
        services.check_unused(sender.id)
        if request.method == "POST":
            services.delete_sender(sender, current_actor())
            db.session.commit()
            flash(_("Sender deleted."), "success")
            return redirect(url_for("senders.index"))
    except services.SenderInUse as error:
        refusal = explain(error)
    forms = queries.name_forms(sender.id)
    page = render_template("senders/delete.html", sender=sender, refusal=refusal, forms=forms)
    return page, 409 if refusal and request.method == "POST" else 200


@bp.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    """Show a button on GET, since mail scanners follow links; confirm the sender on POST.

    The reader of the mailbox decides, so this needs no account.
    """
    form = FlaskForm()
    try:
        if not form.validate_on_submit():
            sender = read_sender_token(token)
            return render_template("senders/confirm.html", form=form, sender=sender, is_done=False)
        sender = services.confirm_sender(token, utcnow())
    except (BadToken, services.SenderError) as error:
        db.session.rollback()
        reason = error.reason if isinstance(error, BadToken) else "invalid"
        return render_template("senders/confirm_failed.html", reason=reason), 410
    db.session.commit()
    if current_user.is_authenticated and current_user.id == sender.owner_id:
        flash(
            _("The address %(address)s has been confirmed.", address=display_address(sender.address)),
            "success",
        )
        return redirect(url_for("senders.index"))
    return render_template("senders/confirm.html", form=form, sender=sender, is_done=True)
