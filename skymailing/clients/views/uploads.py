"""Upload a file of clients, and confirm the mapping of its columns."""

from dataclasses import replace

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.clients import imports, queries, uploads
from skymailing.clients.columns import SAMPLE
from skymailing.clients.files.encodings import ENCODINGS, find_encoding
from skymailing.clients.forms import FIELD_LABELS, ImportForm, MappingForm
from skymailing.clients.mapping import Mapping
from skymailing.clients.recipes import STATUS_COLUMN
from skymailing.clients.tags import list_names
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing, starts_reading
from skymailing.errors import UserError
from skymailing.extensions import db, limiter
from skymailing.models import ClientImport, ClientUpload
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.user_turns import get_user_key, take_turn


@bp.route("/import", methods=["GET", "POST"])
@login_required
@limiter.limit("60 per hour", key_func=get_user_key, methods=["POST"])
@starts_reading
def import_new() -> ResponseReturnValue:
    """Accept an uploaded file, and redirect to the page that maps its columns."""
    form = ImportForm()
    if form.validate_on_submit():
        upload = receive_file(form, Mapping())
        if upload:
            db.session.commit()
            return redirect(url_for("clients.import_map", upload_id=upload.id))
    return render_template(
        "clients/import.html",
        form=form,
        imports=queries.list_latest_imports(current_user.id),
        sample=SAMPLE,
    )


def receive_file(form: ImportForm, mapping: Mapping) -> ClientUpload | None:
    """Store the uploaded file and return it; on an error, set the field's message and return None."""
    source, filename = form.open_source()
    field = form.file if form.file.data else form.pasted
    try:
        imports.check_unfinished(current_user.id)  # before the file is read; checked again under the lock
        db.session.rollback()
        with take_turn(get_user_key()):
            received = uploads.read_file(source, filename, mapping)
        start_writing()
        imports.check_limits(current_user.id, utcnow())
    except UserError as error:
        field.errors = [explain(error)]
        return None
    return uploads.store_upload(current_user.id, filename, received)


@bp.route("/import/<int:upload_id>", methods=["GET", "POST"])
@login_required
@starts_reading
def import_map(upload_id: int) -> ResponseReturnValue:
    """Show the column mapping of an uploaded file, and import the file when the user confirms it."""
    upload = get_own(ClientUpload, upload_id)
    form = MappingForm()
    sample = show_sample(form, upload)
    if "again" not in request.form and form.validate_on_submit():
        import_ = confirm(form, upload, len(sample.columns))
        if import_:
            db.session.commit()
            queue.enqueue("import_clients", import_.id, queue=queue.DELIVERY)
            return redirect(url_for("clients.import_show", import_id=import_.id))
    if not form.is_submitted():
        form.encoding.data = sample.table.mapping.encoding
        form.standing.data = sample.table.mapping.standing
    return render_template(
        "clients/import_map.html",
        form=form,
        upload=upload,
        sample=sample,
        labels=FIELD_LABELS,
        status_column=STATUS_COLUMN,
        names=ENCODINGS,
        known_tags=list_names(current_user.id),
    )


def show_sample(form: MappingForm, upload: ClientUpload) -> uploads.Sample:
    """Return a sample of the file in the chosen encoding, or in the detected one if that fails."""
    mapping = Mapping.load(upload.mapping)
    chosen = find_encoding(request.form.get("encoding", "")) or mapping.encoding
    try:
        return uploads.show_sample(upload.content, replace(mapping, encoding=chosen))
    except UserError as error:
        form.form_errors.append(explain(error))
        return uploads.show_sample(upload.content, mapping)


def confirm(form: MappingForm, upload: ClientUpload, columns: int) -> ClientImport | None:
    """Create the import and return it; on an error, add its message to the form and return None."""
    start_writing()
    try:
        imports.check_unfinished(current_user.id)
        return uploads.confirm_upload(upload, form.read_mapping(columns), form.consent.data or "")
    except UserError as error:
        form.form_errors.append(explain(error))
        return None
