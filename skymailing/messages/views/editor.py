"""The editor page, and its requests while the user types: drafts, pictures and conversions."""

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
from skymailing.db.engine import start_writing, starts_reading
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.content import Content
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.errors import UserError
from skymailing.extensions import db, limiter
from skymailing.link_checks.services import find_check
from skymailing.link_checks.words import describe_link
from skymailing.messages import drafts, layouts, pictures, queries, services
from skymailing.messages.conversion import convert
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.forms import MessageForm, choose_language, read_typed
from skymailing.messages.reviewers import list_usable
from skymailing.messages.starters import Card
from skymailing.messages.views.block_editor import describe_blocks
from skymailing.messages.views.blueprint import bp
from skymailing.messages.views.menus import list_kinds, list_placeholders, list_values
from skymailing.models import (
    COMPOSED_FORMATS,
    Message,
    MessageDraft,
    MessageFormat,
    MessageTemplate,
    SourceFormat,
)
from skymailing.quotas.checks import LimitReached, require_room_for_pictures
from skymailing.security import get_own
from skymailing.undo import CannotRestore
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import parse_big_id
from skymailing.web.images import PicturesBusy
from skymailing.web.picture_files import letter_directory, parse_name
from skymailing.web.urls import public_url
from skymailing.web.user_turns import get_user_key, takes_turns

A_YEAR = 365 * 24 * 60 * 60  # seconds
# The first script of the modes that have their own.
FIRST_SCRIPTS: dict[str, str] = {SourceFormat.BLOCKS: "block-start", SourceFormat.MJML: "mjml"}
PICTURE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def make_fields(source: Message | MessageDraft | MessageTemplate, *, as_html: bool = False) -> dict[str, str]:
    """Return the form's fields, filled from a stored text; with `as_html`, without the source of its body."""
    text = source.subject + source.body
    source_format, source_text = source.current_source
    is_composed = source_format in COMPOSED_FORMATS and not as_html
    # A text with a layout is stored as the source of its body.
    is_written = bool(source_format) and source_format not in COMPOSED_FORMATS
    return {
        "subject": source.subject,
        "format": source_format.value if is_written else source.format.value,
        "body": source_text if is_written else source.body,
        "preheader": source.preheader,
        "language": choose_language(source.language, text),
        "source_format": source_format.value if is_composed else "",
        "source": source_text if is_composed else "",
        "layout": str(source.layout_id or "") if is_composed or is_written else "",
    }


def find_initial_mode(form: MessageForm, *, is_new: bool) -> str:
    """Return the mode in which the editor opens, so that the page has the right layout from the start."""
    if form.source_format.data:
        return str(form.source_format.data)
    has_text = bool((form.body.data or "").strip())
    if form.format.data == MessageFormat.HTML or (is_new and not has_text):
        return "writing"
    return str(form.format.data)


def describe_mode(mode: str, attributes: list[str], *, is_layout: bool = False) -> dict[str, object]:
    """Return the page's data for the mode in which the editor opens."""
    is_blocks = mode == SourceFormat.BLOCKS
    blocks = describe_blocks(current_user, attributes, is_layout=is_layout) if is_blocks else None
    return {"initial_mode": mode, "modules": FIRST_SCRIPTS.get(mode, "start"), "blocks": blocks}


def describe_values(attributes: list[str]) -> dict[str, object]:
    """Return the page's data for the menu of client data, and for the preview."""
    return {
        "placeholders": list_placeholders(attributes),
        "values": list_values(attributes, queries.find_samples(current_user.id)),
        "client": queries.find_client(current_user.id, None),
        "picture_base": public_url("messages.index"),
    }


def show_editor(
    form: MessageForm,
    message: Message | None = None,
    *,
    draft: MessageDraft | None = None,
    starters: list[Card] | None = None,
    has_start: bool = False,
    is_changed: bool = False,
) -> str:
    """Return the editor page; `is_changed` if another window has saved the message in the meantime."""
    attributes = queries.find_attributes(current_user.id)
    owned = layouts.list_layouts(current_user.id)
    form.layout.choices = [("", _("No layout")), *((str(layout.id), layout.name) for layout in owned)]
    # After a conflict, the form is based on the saved version, so that saving again replaces that version.
    version = message.version if message else None
    if draft and not form.is_submitted():
        version = draft.base_version
    elif message and form.is_submitted() and not is_changed:
        version = request.form.get("version", type=parse_big_id)
    kind = "message" if message else "start" if has_start else "draft" if draft else "new"
    return render_template(
        "messages/form.html",
        kind=kind,
        **describe_mode(find_initial_mode(form, is_new=kind == "new"), attributes),
        **describe_values(attributes),
        form=form,
        message=message,
        draft=draft,
        version=version,
        is_changed=is_changed,
        starters=starters or [],
        kinds=list_kinds(),
        new_drafts=drafts.list_new_drafts(current_user.id) if starters else [],
        mailings=services.find_mailings(message.id) if message else [],
        link_check=find_check(message) if message else None,
        describe_link=describe_link,
        reviewers=list_usable(current_user.id),
    )


@bp.post("/drafts")
@login_required
def begin_draft() -> ResponseReturnValue:
    """Save the first draft of a new message."""
    return save_draft(lambda: drafts.begin_draft(current_user.id, None, None, read_draft(), utcnow()))


@bp.post("/<int:message_id>/draft")
@login_required
def begin_message_draft(message_id: int) -> ResponseReturnValue:
    """Save the first draft of a message; 409 when another window has a draft or has saved the message."""
    message = get_own(Message, message_id)
    base = request.form.get("version", type=parse_big_id)
    return save_draft(
        lambda: drafts.begin_draft(current_user.id, message, base, read_draft(), utcnow()),
        other=drafts.find_draft(message),
    )


@bp.post("/drafts/<int:draft_id>")
@login_required
def change_draft(draft_id: int) -> ResponseReturnValue:
    """Save a draft again; 409 when another window has saved it since, unless forced."""
    draft = get_own(MessageDraft, draft_id)
    revision = None if "force" in request.form else request.form.get("revision", 0, type=parse_big_id)
    return save_draft(lambda: drafts.change_draft(draft, revision, read_draft(), utcnow()), other=draft)


def read_draft() -> Content:
    """Return the typed content, which may be unfinished."""
    return read_typed(current_user, may_be_unfinished=True)


def save_draft(save: Callable[[], MessageDraft], other: MessageDraft | None = None) -> ResponseReturnValue:
    """Save a draft; return its ID and revision, or the conflict, as JSON."""
    try:
        draft = save()
    except drafts.DraftElsewhere:
        return jsonify(reason="elsewhere", draft=other.id if other else None), 409
    except drafts.MessageChanged:
        return jsonify(reason="changed"), 409
    except LimitReached:
        return jsonify(reason="full"), 409
    db.session.commit()
    return jsonify(
        draft=draft.id, revision=draft.revision, discard=url_for("messages.discard", draft_id=draft.id)
    )


@bp.post("/drafts/<int:draft_id>/discard")
@login_required
def discard(draft_id: int) -> ResponseReturnValue:
    """Discard a draft; it can be restored for a while."""
    draft = get_own(MessageDraft, draft_id)
    draft.discarded_at = draft.discarded_at or utcnow()
    db.session.commit()
    flash_undo(_("Draft discarded."), url_for("messages.restore", draft_id=draft.id))
    if draft.message_id is not None:
        return redirect(url_for("messages.edit", message_id=draft.message_id))
    return redirect(url_for("messages.index"))


@bp.post("/drafts/<int:draft_id>/restore")
@login_required
def restore(draft_id: int) -> ResponseReturnValue:
    """Restore a discarded draft or a deleted message."""
    draft = get_own(MessageDraft, draft_id)
    try:
        message = drafts.restore_draft(draft, utcnow(), current_actor())
    except CannotRestore:
        abort(404)
    except drafts.NewerDraft as error:
        flash(explain(error), "warning")
        return redirect(url_for("messages.edit", message_id=draft.message_id))
    db.session.commit()
    if message is not None:
        flash(_("Message restored."), "success")
        return redirect(url_for("messages.show", message_id=message.id))
    flash(_("Draft restored."), "success")
    if draft.message_id is not None:
        return redirect(url_for("messages.edit", message_id=draft.message_id))
    return redirect(url_for("messages.new", draft=draft.id))


@bp.post("/convert")
@login_required
@takes_turns
def convert_body() -> ResponseReturnValue:
    """Convert the typed body to another format."""
    new_format = request.form.get("to", "")
    if new_format not in set(MessageFormat):
        abort(400)
    try:
        content = read_typed(current_user, has_layout=False)
        body = convert(content.body, content.format, MessageFormat(new_format), content.language)
    except InvalidSource as error:
        return jsonify(problem=explain_source_error(error)), 422
    except TemplateError as error:
        return jsonify(problem=explain_template_error(error)), 422
    return jsonify(body=body)


@bp.post("/pictures")
@login_required
@limiter.limit("20 per minute; 300 per hour", key_func=get_user_key)
@starts_reading
def upload_picture() -> ResponseReturnValue:
    """Store a picture and return its URL; 503 while other pictures are being decoded."""
    file = request.files.get("picture")
    if file is None:
        return jsonify(problem=_("Choose an image.")), 422
    try:
        require_room_for_pictures(current_user.id)
        written = pictures.write_file(file.stream)
        start_writing()
        stored = pictures.add_picture(current_user.id, written, utcnow())
    except PicturesBusy as error:
        return jsonify(problem=explain(error)), 503, {"Retry-After": "5"}
    except UserError as error:
        return jsonify(problem=explain(error)), 422
    db.session.commit()
    picture = parse_name(stored.name)
    assert picture is not None
    details: dict[str, Any] = {
        "url": public_url("messages.picture", name=stored.name),
        "width": picture.width,
    }
    return jsonify(details | {"shown": min(picture.width, pictures.SHOWN_WIDTH)})


@bp.get("/pictures/<name>")
def picture(name: str) -> ResponseReturnValue:
    """Return a picture to anyone who has its URL; its content never changes."""
    parsed = parse_name(name) or abort(404)
    try:
        response: Response = send_from_directory(letter_directory(), parsed.name, mimetype=parsed.type)
    except NotFound:
        abort(404)
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    # Webmail shows the picture on pages of another origin.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
