"""The page of returned emails, where the user decides about unclear ones, and its CSV file."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import audit
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import AuditAction, Bounce, BounceKind
from skymailing.returns import consequences
from skymailing.returns.forms import UNCLEAR, ReturnFilterForm
from skymailing.returns.queries import ReturnFilter, export_returns, list_returns
from skymailing.security import get_own
from skymailing.web.csv import csv_response

bp = Blueprint("returns", __name__, url_prefix="/logs")


@bp.get("/returned")
@login_required
def index() -> ResponseReturnValue:
    """List the user's returned emails."""
    form, found = read_filter()
    # The download uses the filter, but not the page number.
    arguments = {key: value for key, value in request.args.items() if key != "cursor" and value}
    return render_template(
        "returns/index.html",
        form=form,
        page=list_returns(found, request.args.get("cursor")),
        arguments=arguments,
    )


@bp.get("/returned.csv")
@login_required
def csv() -> ResponseReturnValue:
    """Download the user's returned emails that match the page's filter."""
    form, found = read_filter()
    if not form.validate():
        abort(400)
    audit.record_export(AuditAction.LOG_EXPORTED, audit.current_actor(), current_user)
    db.session.commit()
    return csv_response(export_returns(found), "returned.csv")


def read_filter() -> tuple[ReturnFilterForm, ReturnFilter]:
    """Return the form and its filter; if the form is invalid, the filter matches all."""
    form = ReturnFilterForm(formdata=request.args)
    if not form.validate():
        return form, ReturnFilter(current_user.id)
    kind = form.kind.data
    return form, ReturnFilter(
        owner_id=current_user.id,
        kind=BounceKind(kind) if kind and kind != UNCLEAR else None,
        is_unclear=kind == UNCLEAR,
        address=form.q.data or "",
    )


@bp.post("/returned/<big:bounce_id>/confirm")
@login_required
def confirm(bounce_id: int) -> ResponseReturnValue:
    """Stop mailing the address of an unclear bounce."""
    consequences.confirm(get_own(Bounce, bounce_id), utcnow())
    db.session.commit()
    flash(_("No more emails will be sent to this address."), "success")
    return redirect(url_for("returns.index"))


@bp.post("/returned/<big:bounce_id>/dismiss")
@login_required
def dismiss(bounce_id: int) -> ResponseReturnValue:
    """Ignore an unclear bounce."""
    consequences.dismiss(get_own(Bounce, bounce_id))
    db.session.commit()
    return redirect(url_for("returns.index"))
