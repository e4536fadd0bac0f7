"""Add, delete and restore notes in a client's timeline."""

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required

from skymailing.clients import notes
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.profile import back_to, render_profile
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, ClientNote
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo


@bp.post("/<big:client_id>/notes")
@login_required
def add_note(client_id: int) -> ResponseReturnValue:
    """Add a note to a client's timeline."""
    client = get_own(Client, client_id, to_change=True)
    text = request.form.get("text", "")
    try:
        notes.add_note(client, text, utcnow())
    except UserError as error:
        db.session.rollback()
        return render_profile(get_own(Client, client_id), note=text, note_error=explain(error))
    db.session.commit()
    return back_to(client_id, "timeline")


@bp.post("/notes/<big:note_id>/delete")
@login_required
def delete_note(note_id: int) -> ResponseReturnValue:
    """Delete a note, with an undo button."""
    note = get_own(ClientNote, note_id, to_change=True)
    client_id = note.client_id
    notes.delete_note(note, utcnow())
    db.session.commit()
    flash_undo(_("Note deleted."), url_for("clients.restore_note", note_id=note_id))
    return back_to(client_id, "timeline")


@bp.post("/notes/<big:note_id>/undo")
@login_required
def restore_note(note_id: int) -> ResponseReturnValue:
    """Undo the deletion of a note."""
    note = get_own(ClientNote, note_id, to_change=True)
    client_id = note.client_id
    notes.restore_note(note)
    db.session.commit()
    return back_to(client_id, "timeline")
