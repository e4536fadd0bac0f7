"""What the editor asks of the server while somebody types: drafts, pictures, other formats."""

from collections.abc import Callable
from typing import Any

from flask import (
    Response,
    abort,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.exceptions import NotFound

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.errors import UserError
from skymailing.extensions import db, limiter
from skymailing.messages import drafts, pictures, queries, services
from skymailing.messages.conversion import convert
from skymailing.messages.forms import MessageForm, read_typed
from skymailing.messages.placeholders import list_placeholders, list_values
from skymailing.messages.views.blueprint import bp
from skymailing.models import Message, MessageDraft, MessageFormat
from skymailing.security import get_own
from skymailing.undo import CannotRestore
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import parse_big_id
from skymailing.web.images import parse_name
from skymailing.web.urls import public_url

A_YEAR = 365 * 24 * 60 * 60  # seconds
PICTURE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def fields_of(source: Message | MessageDraft) -> dict[str, str]:
    """Return the form's fields, filled from a message or a draft."""
    return {"subject": source.subject, "format": source.format.value, "body": source.body}


def find_opening(form: MessageForm, *, is_new: bool) -> str:
    """Return the mode in which the editor is about to open, so that its page is drawn for that at once."""
    is_begun = bool((form.body.data or "").strip())
    if form.format.data == MessageFormat.HTML or (is_new and not is_begun):
        return "writing"
    return str(form.format.data)


def show_editor(
    form: MessageForm,
    message: Message | None = None,
    *,
    draft: MessageDraft | None = None,
    starters: list[tuple[str, str, str]] | None = None,
    is_example: bool = False,
    is_changed: bool = False,
) -> str:
    """Return the editor's page; `is_changed`: somebody else has saved the message meanwhile."""
    attributes = queries.find_attributes(current_user.id)
    client = queries.find_client(current_user.id, None)
    # After a refusal the form is based on what is saved now: saving again is a decision.
    version = message.version if message else None
    if draft and not form.is_submitted():
        version = draft.base_version
    elif message and form.is_submitted() and not is_changed:
        version = request.form.get("version", type=parse_big_id)
    kind = "message" if message else "example" if is_example else "draft" if draft else "new"
    return render_template(
        "messages/form.html",
        kind=kind,
        opens=find_opening(form, is_new=kind == "new"),
        form=form,
        message=message,
        draft=draft,
        version=version,
        is_changed=is_changed,
        placeholders=list_placeholders(attributes),
        values=list_values(attributes, queries.find_samples(current_user.id)),
        starters=starters or [],
        begun=drafts.list_new(current_user.id) if starters else [],
        client=client,
        mailings=services.find_mailings(message.id) if message else [],
        picture_base=public_url("messages.index") + "pictures/",
    )


@bp.post("/drafts")
@login_required
def begin_draft() -> ResponseReturnValue:
    """Keep what is being typed into a message that was never saved."""
    return keep(lambda: drafts.begin_draft(current_user.id, None, None, read_typed(), utcnow()))


@bp.post("/<int:message_id>/draft")
@login_required
def begin_message_draft(message_id: int) -> ResponseReturnValue:
    """Keep what is being typed into a message; 409 when another window has kept or saved something else."""
    message = get_own(Message, message_id)
    base = request.form.get("version", type=parse_big_id)
    return keep(
        lambda: drafts.begin_draft(current_user.id, message, base, read_typed(), utcnow()),
        other=drafts.find_draft(message),
    )


@bp.post("/drafts/<int:draft_id>")
@login_required
def change_draft(draft_id: int) -> ResponseReturnValue:
    """Keep what is being typed further; 409 when another window has kept something else, unless forced."""
    draft = get_own(MessageDraft, draft_id)
    revision = None if "force" in request.form else request.form.get("revision", 0, type=parse_big_id)
    return keep(lambda: drafts.change_draft(draft, revision, read_typed(), utcnow()), other=draft)


def keep(save: Callable[[], MessageDraft], other: MessageDraft | None = None) -> ResponseReturnValue:
    """Save a draft and tell the editor how to go on, or what stands against it."""
    try:
        draft = save()
    except drafts.DraftElsewhere:
        return jsonify(reason="elsewhere", draft=other.id if other else None), 409
    except drafts.MessageChanged:
        return jsonify(reason="changed"), 409
    except drafts.TooManyDrafts:
        return jsonify(reason="full"), 409
    db.session.commit()
    return jsonify(
        draft=draft.id, revision=draft.revision, discard=url_for("messages.discard", draft_id=draft.id)
    )


@bp.post("/drafts/<int:draft_id>/discard")
@login_required
def discard(draft_id: int) -> ResponseReturnValue:
    """Throw a draft away; it can be brought back for a while."""
    draft = get_own(MessageDraft, draft_id)
    draft.discarded_at = draft.discarded_at or utcnow()
    db.session.commit()
    flash_undo(_("The draft was discarded."), url_for("messages.restore", draft_id=draft.id))
    if draft.message_id is not None:
        return redirect(url_for("messages.edit", message_id=draft.message_id))
    return redirect(url_for("messages.index"))


@bp.post("/drafts/<int:draft_id>/restore")
@login_required
def restore(draft_id: int) -> ResponseReturnValue:
    """Bring back a draft that was discarded, or a message that was deleted."""
    draft = get_own(MessageDraft, draft_id)
    try:
        message = drafts.restore(draft, utcnow(), current_actor())
    except CannotRestore:
        abort(404)
    except drafts.DraftElsewhere:
        flash(_("This message has a newer draft by now, which was kept."), "warning")
        return redirect(url_for("messages.edit", message_id=draft.message_id))
    db.session.commit()
    if message is not None:
        flash(_("The message is back."), "success")
        return redirect(url_for("messages.show", message_id=message.id))
    flash(_("The draft is back."), "success")
    if draft.message_id is not None:
        return redirect(url_for("messages.edit", message_id=draft.message_id))
    return redirect(url_for("messages.new", draft=draft.id))


@bp.post("/convert")
@login_required
def convert_body() -> ResponseReturnValue:
    """Return the typed body as another format writes it."""
    content = read_typed()
    wanted = request.form.get("to", "")
    if wanted not in set(MessageFormat):
        abort(400)
    try:
        return jsonify(body=convert(content.body, content.format, MessageFormat(wanted)))
    except TemplateError as error:
        return jsonify(problem=services.explain_error(error)), 422


@bp.post("/pictures")
@login_required
@limiter.limit("60/minute")
def upload_picture() -> ResponseReturnValue:
    """Keep a picture for letters and return its address."""
    file = request.files.get("picture")
    if file is None:
        return jsonify(problem=_("Choose a picture.")), 422
    try:
        stored = pictures.store_picture(current_user.id, file.stream, utcnow())
    except UserError as error:
        return jsonify(problem=explain(error)), 422
    db.session.commit()
    picture = parse_name(stored.name)
    assert picture is not None
    answer: dict[str, Any] = {"url": public_url("messages.picture", name=stored.name), "width": picture.width}
    return jsonify(answer | {"shown": min(picture.width, pictures.SHOWN_WIDTH)})


@bp.get("/pictures/<name>")
def picture(name: str) -> ResponseReturnValue:
    """Return a letter's picture to whoever has its address; it never changes."""
    found = parse_name(name) or abort(404)
    try:
        response: Response = send_from_directory(
            pictures.picture_directory(), found.name, mimetype=found.type
        )
    except NotFound:
        abort(404)
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    # Mail programs on the web show it on pages of theirs.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
