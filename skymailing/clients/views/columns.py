"""Choose the columns of the list of clients."""

from flask import redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing.clients.list_columns import choose_columns
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.clients import back_to_list
from skymailing.extensions import db


@bp.post("/columns")
@login_required
def columns() -> ResponseReturnValue:
    """Store the ticked columns, and show the list as it was."""
    choose_columns(current_user, request.form.getlist("column"))
    db.session.commit()
    return redirect(back_to_list())
