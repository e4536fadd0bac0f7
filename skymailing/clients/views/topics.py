"""Let the owner subscribe a client to a topic, or unsubscribe the client, on the client's page."""

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients.topic_choices import choose_as_owner
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, Topic
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.ids import read_id


@bp.post("/<big:client_id>/topics")
@login_required
def choose_topic(client_id: int) -> ResponseReturnValue:
    """Subscribe a client to a topic, or unsubscribe; only the client can resubscribe after unsubscribing."""
    client = get_own(Client, client_id)
    topic = get_own(Topic, read_id(request.form.get("topic")))
    is_joining = request.form.get("action") == "join"
    try:
        choose_as_owner(current_user.id, client.email_key, topic.id, is_joining, utcnow())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        name = topic.name
        db.session.commit()
        if is_joining:
            flash(_("The client now gets emails about “%(topic)s”.", topic=name), "success")
        else:
            flash(_("The client no longer gets emails about “%(topic)s”.", topic=name), "success")
    return redirect(url_for("clients.show", client_id=client_id, _anchor="topics"))
