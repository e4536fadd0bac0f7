"""Add tags to a client and remove them, on the client's page."""

from flask import flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import login_required

from skymailing.clients.tags import TagChanges, add_tags, change_tags, find_tags, list_client_tags
from skymailing.clients.views.blueprint import bp
from skymailing.clients.views.profile import back_to, render_profile
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client
from skymailing.security import get_own, is_partial_request
from skymailing.web.error_texts import explain
from skymailing.web.ids import read_id


@bp.post("/<big:client_id>/tags")
@login_required
def add_client_tags(client_id: int) -> ResponseReturnValue:
    """Add tags to a client."""
    client = get_own(Client, client_id, to_change=True)
    text = request.form.get("tags", "")
    try:
        added = add_tags(client, text)
    except UserError as error:
        db.session.rollback()
        if is_partial_request():
            return explain(error), 422
        return render_profile(get_own(Client, client_id), new_tags=text, tag_error=explain(error))
    db.session.commit()
    if is_partial_request():  # the list of clients
        return render_template("clients/_row_tags.html", names=find_tags([client_id]).get(client_id, []))
    if added:
        flash(ngettext("%(num)d tag added.", "%(num)d tags added.", len(added)), "success")
    else:
        flash(_("No new tags: the client has them already."), "info")
    return back_to(client_id, "tags")


@bp.post("/<big:client_id>/tags/remove")
@login_required
def remove_client_tag(client_id: int) -> ResponseReturnValue:
    """Remove a tag from a client; nothing happens if another window has already removed it."""
    client = get_own(Client, client_id, to_change=True)
    tag_id = read_id(request.form.get("tag"))
    name = dict(list_client_tags(client)).get(tag_id)
    if name is not None:
        change_tags(client, TagChanges(removed=[tag_id]))
        db.session.commit()
        flash(_("Tag “%(name)s” removed.", name=name), "success")
    return back_to(client_id, "tags")
