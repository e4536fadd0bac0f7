"""Show imports, and export the address book."""

from collections.abc import Iterator
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing import audit
from skymailing.clients import exports, imports, queries
from skymailing.clients.columns import REJECTED_LINE, REJECTED_REASON, SAMPLE
from skymailing.clients.explanations import explain_failure, explain_rejection
from skymailing.clients.mapping import Mapping, apply_mapping
from skymailing.clients.rows import split_rejected
from skymailing.clients.views.blueprint import bp
from skymailing.db.pagination import paginate
from skymailing.extensions import db
from skymailing.models import AuditAction, ClientImport, ImportRejection
from skymailing.security import get_own
from skymailing.settings.quotas import quota_settings
from skymailing.web.csv import BYTE_ORDER_MARK, csv_response, csv_restore
from skymailing.web.responses import respond_if_changed


@bp.get("/import/sample.csv")
@login_required
def import_sample() -> ResponseReturnValue:
    """Return an example CSV file."""
    return csv_response(SAMPLE, "clients-sample.csv", start=BYTE_ORDER_MARK)


@bp.get("/imports/<int:import_id>")
@login_required
def import_show(import_id: int) -> ResponseReturnValue:
    """Show the progress of an import and its rejected rows; htmx requests get only that part."""
    import_ = get_own(ClientImport, import_id)
    page = paginate(queries.list_rejections(import_), queries.REJECTION_ORDER, request.args.get("cursor"))
    is_partial = "HX-Request" in request.headers
    html = render_template(
        "clients/_import_progress.html" if is_partial else "clients/import_show.html",
        import_=import_,
        is_unfinished=import_.state in imports.UNFINISHED_STATES,
        page=page,
        explain_failure=explain_failure,
        explain_rejection=explain_rejection,
        placeholders=list_placeholders(import_),
        listed=quota_settings().rejections_per_import,
    )
    return respond_if_changed(html) if is_partial else html


def list_placeholders(import_: ClientImport) -> list[tuple[str, str]]:
    """Return the header and the attribute key of each column that became an attribute."""
    if not import_.headers:
        return []
    columns = apply_mapping(Mapping.load(import_.mapping), import_.headers, ())
    return [(import_.headers[position], key) for position, key in columns.attributes.items()]


@bp.get("/imports/<int:import_id>/rejections.csv")
@login_required
def import_rejections(import_id: int) -> ResponseReturnValue:
    """Return the rejected rows as a CSV file to correct and import again."""
    import_ = get_own(ClientImport, import_id)
    return csv_response(
        list_rejection_rows(import_), f"rejected-rows-{import_.id}.csv", start=BYTE_ORDER_MARK
    )


def list_rejection_rows(import_: ClientImport) -> Iterator[list[Any]]:
    """Yield the header and the rejected rows, each with its line number and reason."""
    yield [REJECTED_LINE, REJECTED_REASON, *import_.headers]
    statement = queries.list_rejections(import_).order_by(ImportRejection.id).execution_options(yield_per=500)
    for rejection in db.session.scalars(statement):
        cells = map(csv_restore, split_rejected(rejection.value))
        yield [rejection.line, explain_rejection(rejection.reason), *cells]


@bp.get("/export")
@login_required
def export() -> ResponseReturnValue:
    """Return the whole address book as CSV."""
    audit.record_export(AuditAction.CLIENTS_EXPORTED, audit.current_actor(), current_user)
    db.session.commit()
    return csv_response(exports.export_rows(current_user.id), "clients.csv", start=BYTE_ORDER_MARK)
