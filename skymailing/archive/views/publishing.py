"""The pages on which users publish the letters of their mailings."""

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from flask_wtf import FlaskForm

from skymailing.archive import queries, services
from skymailing.archive.forms import AddressForm, EntryForm
from skymailing.archive.services import ArchiveError
from skymailing.db.engine import start_writing
from skymailing.delivery.rendering.letter import TemplateError
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages.error_texts import explain_template_error
from skymailing.models import ArchiveEntry, Run
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.letter_pages import seal_frame
from skymailing.web.user_turns import takes_turns

# Named like the mailings' blueprint, so that the navigation highlights them.
bp = Blueprint("mailings_archive", __name__, url_prefix="/mailings/archive")


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's published letters."""
    return render_template(
        "archive/entries.html",
        archive=queries.find_archive(current_user.id),
        page=queries.list_entries(current_user.id, request.args.get("cursor")),
    )


@bp.route("/runs/<int:run_id>", methods=["GET", "POST"])
@login_required
@takes_turns
def publish(run_id: int) -> ResponseReturnValue:
    """Publish a run's letter, or change how it is published."""
    run = get_own_run(run_id)
    entry = queries.find_entry(run.id)
    form = EntryForm(data={"slug": entry.slug, "is_indexed": entry.is_indexed} if entry else {})
    if form.validate_on_submit() and save(form, run, entry):
        return redirect(url_for("mailings_archive.index"))
    run = get_own_run(run_id)
    obstacle = None if entry else services.find_obstacle(run)
    problem = explain(obstacle) if obstacle else ""
    return render_template("archive/publish.html", form=form, run=run, entry=entry, problem=problem)


def get_own_run(run_id: int) -> Run:
    return queries.find_own_run(current_user.id, run_id) or abort(404)


def save(form: EntryForm, run: Run, entry: ArchiveEntry | None) -> bool:
    """Publish the run or change its entry, and commit; on an error, show it in the form and return False."""
    run_id = run.id
    try:
        if entry is None:
            source = services.read_source(run)
            db.session.rollback()  # no transaction is open while the letter is rendered
            letter = source.render()
            start_writing()
            services.publish(get_own_run(run_id), letter, form.values)
        else:
            entry_id = entry.id
            start_writing()
            services.change_entry(get_own(ArchiveEntry, entry_id), form.values)
    except TemplateError as error:
        form.form_errors = [explain_template_error(error)]
        return False
    except (ArchiveError, LimitReached) as error:
        show_error(form, error)
        return False
    db.session.commit()
    flash(_("Published.") if entry is None else _("Saved."), "success")
    return True


def show_error(form: FlaskForm, error: UserError) -> None:
    """Roll back the changes, and show the error in the form."""
    db.session.rollback()
    field = getattr(error, "field", "")
    if field:
        form[field].errors = [*form[field].errors, explain(error)]
    else:
        form.form_errors = [explain(error)]


@bp.get("/runs/<int:run_id>/letter")
@login_required
@takes_turns
def letter(run_id: int) -> ResponseReturnValue:
    """Return the letter as it is or will be published, for a frame."""
    run = get_own_run(run_id)
    if entry := queries.find_entry(run.id):
        return seal_frame(Response(entry.html, mimetype="text/html"))
    try:
        source = services.read_source(run)
        db.session.rollback()
        return seal_frame(Response(source.render().html, mimetype="text/html"))
    except ArchiveError as error:
        text = explain(error)
    except TemplateError as error:
        text = explain_template_error(error)
    return seal_frame(Response(text, mimetype="text/plain"))


@bp.post("/<int:entry_id>/unpublish")
@login_required
def unpublish(entry_id: int) -> ResponseReturnValue:
    """Remove a letter from the archive."""
    services.unpublish(get_own(ArchiveEntry, entry_id))
    db.session.commit()
    flash(_("Removed from the archive."), "success")
    return redirect(url_for("mailings_archive.index"))


@bp.route("/address", methods=["GET", "POST"])
@login_required
def address() -> ResponseReturnValue:
    """Change the address of the user's archive."""
    archive = queries.find_archive(current_user.id)
    if archive is None:  # nothing has been published yet
        return redirect(url_for("mailings_archive.index"))
    form = AddressForm(data={"slug": archive.slug})
    if form.validate_on_submit():
        try:
            services.move_archive(archive, form.slug.data or "")
            db.session.commit()
        except ArchiveError as error:
            show_error(form, error)
        else:
            flash(_("Saved."), "success")
            return redirect(url_for("mailings_archive.index"))
    return render_template("archive/address.html", form=form)
