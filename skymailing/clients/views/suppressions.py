"""List, add, import, export and lift the suppressions of addresses."""

from datetime import timedelta

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing import audit
from skymailing.clients import exports, opt_outs, queries, suppression
from skymailing.clients.forms import SuppressionForm
from skymailing.clients.import_forms import ImportForm
from skymailing.clients.mapping import Mapping
from skymailing.clients.search.matching import clean_search
from skymailing.clients.statuses import Standing
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.uploads import receive_file
from skymailing.clock import utcnow
from skymailing.db.engine import starts_reading
from skymailing.db.pagination import count_up_to, paginate
from skymailing.extensions import db, limiter
from skymailing.models import AuditAction, OptOutReason, Suppression
from skymailing.security import get_own
from skymailing.web.csv import BYTE_ORDER_MARK, csv_response
from skymailing.web.labels import state_label
from skymailing.web.user_turns import get_user_key

REASONS_PERIOD = timedelta(days=90)


@bp.app_template_global()
def opt_out_reason(reason: str) -> str:
    """Return a stored OptOutReason in words; an unknown one, from a newer version, unchanged."""
    return str(state_label(OptOutReason(reason))) if reason in set(OptOutReason) else reason


def show_page(form: SuppressionForm, upload_form: ImportForm) -> str:
    """Return the page with the list and both forms."""
    search = clean_search(request.args.get("q", ""))
    found = queries.list_suppressions(current_user.id, search)
    return render_template(
        "clients/suppressions.html",
        form=form,
        upload_form=upload_form,
        page=paginate(found, queries.SUPPRESSION_ORDER, request.args.get("cursor")),
        count=count_up_to(found),
        search=search,
    )


@bp.get("/suppressions/")
@login_required
def suppressions() -> ResponseReturnValue:
    """List the addresses that match the search."""
    return show_page(SuppressionForm(), ImportForm())


@bp.post("/suppressions/add")
@login_required
def suppressions_add() -> ResponseReturnValue:
    """Stop mailing the addresses that were typed."""
    form = SuppressionForm()
    if not form.validate_on_submit():
        return show_page(form, ImportForm(formdata=None))
    keys = form.read_keys()
    suppression.suppress_all(current_user.id, map(suppression.NewSuppression.by_owner, keys), utcnow())
    db.session.commit()
    text = ngettext(
        "%(num)d address is no longer emailed.", "%(num)d addresses are no longer emailed.", len(keys)
    )
    flash(text, "success")
    return redirect(url_for("clients.suppressions"))


@bp.post("/suppressions/import")
@login_required
@limiter.limit("60 per hour", key_func=get_user_key)
@starts_reading
def suppressions_import() -> ResponseReturnValue:
    """Accept a file of addresses; its owner then confirms what its columns mean."""
    form = ImportForm()
    if form.validate_on_submit():
        upload = receive_file(form, Mapping(standing=Standing.BLOCKED.value))
        if upload:
            db.session.commit()
            return redirect(url_for("clients.import_map", upload_id=upload.id))
    return show_page(SuppressionForm(formdata=None), form)


@bp.get("/suppressions/export")
@login_required
def suppressions_export() -> ResponseReturnValue:
    """Return a CSV file of all addresses that are never mailed."""
    audit.record_export(AuditAction.CLIENTS_EXPORTED, audit.current_actor(), current_user)
    db.session.commit()
    rows = exports.export_suppressions(current_user.id)
    return csv_response(rows, "never-mailed.csv", start=BYTE_ORDER_MARK)


@bp.get("/suppressions/reasons")
@login_required
def suppressions_reasons() -> ResponseReturnValue:
    """Show the reasons that people recently gave for unsubscribing."""
    since = utcnow() - REASONS_PERIOD
    counts = opt_outs.count_reasons(current_user.id, since)
    reasons = sorted(OptOutReason, key=lambda reason: -counts.get(reason, 0))
    return render_template(
        "clients/reasons.html",
        total=sum(counts.values()),
        rows=[(state_label(reason), counts.get(reason, 0)) for reason in reasons],
        unknown=counts.get("", 0),
        comments=opt_outs.list_comments(current_user.id, since),
        days=REASONS_PERIOD.days,
    )


@bp.post("/suppressions/<big:suppression_id>/lift")
@login_required
def suppressions_lift(suppression_id: int) -> ResponseReturnValue:
    """Lift a suppression that the owner made; other suppressions cannot be lifted (403)."""
    found = get_own(Suppression, suppression_id)
    if not suppression.lift_manual(current_user.id, found.email_key):
        abort(403)
    db.session.commit()
    flash(_("This address will receive mailings again."), "success")
    return redirect(url_for("clients.suppressions"))
