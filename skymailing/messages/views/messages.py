"""Message pages: list, write, edit, duplicate and delete messages, and send test letters."""

from collections.abc import Mapping
from typing import cast

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing, starts_reading
from skymailing.db.pagination import paginate
from skymailing.delivery.composition.brands import find_owner_brand
from skymailing.extensions import db
from skymailing.messages import drafts, layouts, queries, services, templates
from skymailing.messages.files import list_files
from skymailing.messages.first_designs import make_first_design
from skymailing.messages.forms import MessageForm, read_source_format
from skymailing.messages.starters import get_starter, list_first_cards
from skymailing.messages.views import editor
from skymailing.messages.views.blueprint import bp
from skymailing.models import Message
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import parse_big_id, parse_id


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's messages and drafts."""
    search = request.args.get("q", "").replace("\0", "").strip()[:200]
    sort = request.args.get("sort", queries.DEFAULT_ORDER)
    if sort not in queries.ORDERS:
        sort = queries.DEFAULT_ORDER
    page = paginate(
        queries.list_messages(current_user.id, search), queries.ORDERS[sort], request.args.get("cursor")
    )
    return render_template(
        "messages/index.html",
        page=page,
        search=search,
        sort=sort,
        drafts=[] if search else drafts.list_new_drafts(current_user.id),
        unsaved=queries.find_with_drafts([message.id for message in page]),
    )


@bp.route("/new", methods=["GET", "POST"])
@login_required
@starts_reading
def new() -> ResponseReturnValue:
    """Write a new message: from scratch, from a template or from a draft."""
    draft_id = request.args.get("draft", type=parse_id)
    draft = drafts.find_new_draft(current_user.id, draft_id) if draft_id else None
    if draft_id and draft is None and request.method == "GET":
        flash(_("This draft has been saved or discarded."), "info")
        return redirect(url_for("messages.index"))
    start = _find_start()
    form = MessageForm(data=editor.make_fields(draft) if draft else start or _find_default_layout())
    if request.method == "GET" and not form.language.data:
        form.language.data = get_locale().language
    if form.validate_on_submit():
        start_writing()
        message = Message(owner_id=current_user.id)
        try:
            services.save_message(message, form.read_content(), None, form.read_files())
        except LimitReached as error:
            form.form_errors = [explain(error)]
        else:
            drafts.delete_drafts(
                current_user.id, draft_id=request.form.get("draft", type=parse_id), message_id=None
            )
            db.session.commit()
            if request.form.get("then") == "mailing":
                flash(_("Message saved."), "success")
                return redirect(url_for("mailings.new", message=message.id))
            flash(_("Message saved. This is what your clients will get."), "success")
            return redirect(url_for("messages.show", message_id=message.id))
    is_empty = request.method == "GET" and start is None and draft is None
    return editor.show_editor(
        form,
        draft=draft,
        starters=list_first_cards(get_locale().language) if is_empty else [],
        has_start=start is not None,
    )


def _find_start() -> Mapping[str, str] | None:
    """Return the form data for a message that starts from a template or an empty design."""
    language = get_locale().language
    template = templates.find_template(current_user.id, request.args.get("template", type=parse_id))
    if template is not None:
        return editor.make_fields(template)
    if starter := get_starter(
        request.args.get("starter", ""), language, find_owner_brand(db.session, current_user)
    ):
        return cast(Mapping[str, str], starter)
    if not (kind := read_source_format(request.args.get("kind"))):
        return None
    default = _find_default_layout()
    return make_first_design(kind, language, has_layout=bool(default["layout"])) | default


def _find_default_layout() -> dict[str, str]:
    layout = layouts.find_default(current_user.id)
    return {"layout": str(layout.id) if layout else ""}


@bp.route("/<int:message_id>/edit", methods=["GET", "POST"])
@login_required
@starts_reading
def edit(message_id: int) -> ResponseReturnValue:
    """Edit a message; runs that have started keep their text."""
    message = get_own(Message, message_id)
    draft = drafts.find_draft(message) if "saved" not in request.args else None
    as_html = request.args.get("as") == "html"
    # An unfinished design has no HTML that its author could continue to edit.
    shown = message if draft is None or (as_html and not draft.body) else draft
    form = MessageForm(data=editor.make_fields(shown, as_html=as_html))
    form.current_files = list_files(message)
    is_changed = False
    if form.validate_on_submit():
        start_writing()
        # Another tab may have deleted or saved the message, and deleted its draft.
        message = get_own(Message, message_id)
        draft = drafts.find_draft(message) if draft else None
        try:
            version = request.form.get("version", type=parse_big_id)
            services.save_message(message, form.read_content(), version, form.read_files())
        except drafts.MessageChanged:
            is_changed = True
        except LimitReached as error:
            db.session.rollback()
            message = get_own(Message, message_id)
            form.current_files = list_files(message)
            form.files.errors = [explain(error)]
        else:
            drafts.delete_drafts(current_user.id, draft_id=None, message_id=message.id)
            db.session.commit()
            flash(_("Message saved."), "success")
            return redirect(url_for("messages.show", message_id=message.id))
    page = editor.show_editor(form, message, draft=draft, is_changed=is_changed)
    return page, 409 if is_changed else 200


@bp.post("/<int:message_id>/duplicate")
@login_required
def duplicate(message_id: int) -> ResponseReturnValue:
    """Copy a message and open the copy in the editor."""
    copy = services.duplicate_message(get_own(Message, message_id))
    db.session.commit()
    flash(_("This is a copy. Edit it as you like."), "success")
    return redirect(url_for("messages.edit", message_id=copy.id))


@bp.route("/<int:message_id>/delete", methods=["GET", "POST"])
@login_required
def delete(message_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a message that no mailing uses; it can be restored for a while."""
    message = get_own(Message, message_id)
    refusal = None
    try:
        services.check_unused(message.id)
        if request.method == "POST":
            deleted = services.delete_message(message, current_actor(), utcnow())
            db.session.commit()
            flash_undo(_("Message deleted."), url_for("messages.restore", draft_id=deleted.id))
            return redirect(url_for("messages.index"))
    except services.MessageInUse as error:
        refusal = explain(error)
    page = render_template(
        "messages/delete.html",
        message=message,
        refusal=refusal,
        mailings=services.find_mailings(message.id),
    )
    return page, 409 if refusal and request.method == "POST" else 200
