"""The gallery: the user's templates and ours, with which a new message can start."""

from flask import Response, abort, flash, redirect, render_template, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.exceptions import NotFound

from skymailing.delivery.composition.current import read_current
from skymailing.delivery.rendering.letter import EXAMPLE, TemplateError, preview
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages import templates
from skymailing.messages.starters import PICTURES, list_cards
from skymailing.messages.views.blueprint import bp
from skymailing.messages.views.menus import list_categories, list_kinds
from skymailing.models import Message, MessageTemplate
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.letter_pages import seal_frame
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL
from skymailing.web.user_turns import takes_turns

A_MONTH = 30 * 24 * 60 * 60  # seconds; not forever, since a drawing may be replaced


@bp.get("/templates")
@login_required
def gallery() -> ResponseReturnValue:
    """Show all templates."""
    return render_template(
        "messages/gallery.html",
        own=templates.list_templates(current_user.id),
        cards=list_cards(get_locale().language),
        categories=list_categories(),
        kinds=list_kinds(),
    )


@bp.post("/<int:message_id>/template")
@login_required
def save_template(message_id: int) -> ResponseReturnValue:
    """Save a message as a template."""
    message = get_own(Message, message_id)
    try:
        templates.save_template(message, request.form.get("name", ""))
    except UserError as error:
        flash(explain(error), "danger")
        return redirect(url_for("messages.show", message_id=message_id))
    db.session.commit()
    flash(_("Template saved."), "success")
    return redirect(url_for("messages.gallery"))


@bp.post("/templates/<int:template_id>/delete")
@login_required
def delete_template(template_id: int) -> ResponseReturnValue:
    """Delete a template; messages that started with it keep their text."""
    db.session.delete(get_own(MessageTemplate, template_id))
    db.session.commit()
    flash(_("Template deleted."), "success")
    return redirect(url_for("messages.gallery"))


@bp.post("/templates/<int:template_id>/rename")
@login_required
def rename_template(template_id: int) -> ResponseReturnValue:
    """Rename a template."""
    template = get_own(MessageTemplate, template_id)
    try:
        templates.rename_template(template, request.form.get("name", ""))
    except UserError as error:
        flash(explain(error), "danger")
    else:
        db.session.commit()
        flash(_("Template renamed."), "success")
    return redirect(url_for("messages.gallery", _anchor="own"))


@bp.get("/templates/<int:template_id>/preview")
@login_required
@takes_turns
def preview_template(template_id: int) -> ResponseReturnValue:
    """Return a template for the frame of its thumbnail."""
    content = read_current(db.session, get_own(MessageTemplate, template_id))
    name = current_user.sender_name
    try:
        letter = preview(content, EXAMPLE, sender_name=name, unsubscribe_url=EXAMPLE_UNSUBSCRIBE_URL)
    except TemplateError:
        return seal_frame(Response("", mimetype="text/plain"))
    if letter.html:
        return seal_frame(Response(letter.html, mimetype="text/html"))
    return seal_frame(Response(letter.text, mimetype="text/plain"))


@bp.get("/designs/<name>")
def starter_picture(name: str) -> ResponseReturnValue:
    """Return a picture of our templates; letters contain its URL."""
    try:
        response: Response = send_from_directory(PICTURES, name, mimetype="image/png")
    except NotFound:
        abort(404)
    response.headers["Cache-Control"] = f"public, max-age={A_MONTH}"
    # Webmail shows the picture on pages of another origin.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
