"""Change and add values of a client, on the client's page and in the list."""

from flask import Response, flash, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import login_required

from skymailing.clients.value_changes import ATTRIBUTE, TEXTS, add_value, change_value, read_value
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.profile import EditedValue, back_to, render_profile
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client
from skymailing.security import get_own, is_partial_request
from skymailing.web.error_texts import explain


@bp.post("/<big:client_id>/values")
@login_required
def change_client_value(client_id: int) -> ResponseReturnValue:
    """Change the name, the comment or a custom field of a client."""
    client = get_own(Client, client_id, to_change=True)
    field, value = request.form.get("field", ""), request.form.get("value", "")
    try:
        change_value(client, field, value, request.form.get("shown", ""))
    except UserError as error:
        db.session.rollback()
        if is_partial_request():
            return explain(error), 422
        client = get_own(Client, client_id)
        if field in TEXTS or read_value(client, field):
            return render_profile(client, edited=EditedValue(field, value, explain(error)))
        # The field is no longer on the page, so the entered value becomes a new one.
        name = field.removeprefix(ATTRIBUTE)
        return render_profile(client, edited=EditedValue("", value, explain(error), name))
    db.session.commit()
    if is_partial_request():  # the list of clients
        return Response(read_value(client, field), mimetype="text/plain")
    flash(_("Saved."), "success")
    return back_to(client_id, "values")


@bp.post("/<big:client_id>/values/new")
@login_required
def add_client_value(client_id: int) -> ResponseReturnValue:
    """Add a custom field to a client."""
    client = get_own(Client, client_id, to_change=True)
    name, value = request.form.get("name", ""), request.form.get("value", "")
    try:
        add_value(client, name, value)
    except UserError as error:
        db.session.rollback()
        edited = EditedValue("", value, explain(error), name)
        return render_profile(get_own(Client, client_id), edited=edited)
    db.session.commit()
    flash(_("Saved."), "success")
    return back_to(client_id, "values")
