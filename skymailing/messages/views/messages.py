"""Pages of messages: list, new, edit, duplicate, delete and test."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import queue
from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.db.pagination import paginate
from skymailing.delivery.rendering.letter import Content, TemplateError, check_content
from skymailing.extensions import db
from skymailing.messages import drafts, queries, services
from skymailing.messages.forms import MessageForm
from skymailing.messages.starters import get_starter, list_starters
from skymailing.messages.views import editor
from skymailing.messages.views.blueprint import bp
from skymailing.models import Message
from skymailing.outbox import services as outbox
from skymailing.security import get_own
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import parse_big_id


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List my messages, and what I began and never saved."""
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
        drafts=[] if search else drafts.list_new(current_user.id),
        unsaved=queries.find_unsaved([message.id for message in page]),
    )


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Write a message: from nothing, from a starter, or on from a draft."""
    draft_id = request.args.get("draft", type=parse_big_id)
    draft = drafts.find_new(current_user.id, draft_id) if draft_id else None
    if draft_id and draft is None and request.method == "GET":
        flash(_("This draft is not there any more: it was saved or discarded."), "info")
        return redirect(url_for("messages.index"))
    starter = get_starter(request.args.get("example", ""), get_locale().language)
    form = MessageForm(data=editor.fields_of(draft) if draft else starter)
    if form.validate_on_submit():
        message = Message(owner_id=current_user.id)
        services.save_message(message, form.read_content(), None)
        drafts.forget_drafts(
            current_user.id, draft_id=request.form.get("draft", type=parse_big_id), message_id=None
        )
        db.session.commit()
        flash(_("The message was saved. This is what a client gets."), "success")
        return redirect(url_for("messages.show", message_id=message.id))
    is_empty = request.method == "GET" and starter is None and draft is None
    return editor.show_editor(
        form, draft=draft, starters=list_starters() if is_empty else [], is_example=starter is not None
    )


@bp.route("/<int:message_id>/edit", methods=["GET", "POST"])
@login_required
def edit(message_id: int) -> ResponseReturnValue:
    """Change a message; runs that have started keep the text they started with."""
    message = get_own(Message, message_id)
    draft = drafts.find_draft(message) if "saved" not in request.args else None
    form = MessageForm(data=editor.fields_of(draft or message))
    is_changed = False
    if form.validate_on_submit():
        try:
            services.save_message(
                message, form.read_content(), request.form.get("version", type=parse_big_id)
            )
        except drafts.MessageChanged:
            is_changed = True
        else:
            drafts.forget_drafts(current_user.id, draft_id=None, message_id=message.id)
            db.session.commit()
            flash(_("The message was saved."), "success")
            return redirect(url_for("messages.show", message_id=message.id))
    page = editor.show_editor(form, message, draft=draft, is_changed=is_changed)
    return page, 409 if is_changed else 200


@bp.post("/<int:message_id>/duplicate")
@login_required
def duplicate(message_id: int) -> ResponseReturnValue:
    """Copy a message and open the copy."""
    copy = services.duplicate_message(get_own(Message, message_id))
    db.session.commit()
    flash(_("This is the copy. Change what should be different."), "success")
    return redirect(url_for("messages.edit", message_id=copy.id))


@bp.route("/<int:message_id>/delete", methods=["GET", "POST"])
@login_required
def delete(message_id: int) -> ResponseReturnValue:
    """Ask, then delete a message that no mailing sends; it can be brought back for a while."""
    message = get_own(Message, message_id)
    names = [mailing.name for mailing in services.find_mailings(message.id)]
    if request.method == "POST":
        try:
            kept = services.delete_message(message, current_actor(), utcnow())
        except services.MessageInUse as error:
            names = error.names
        else:
            db.session.commit()
            flash_undo(_("The message was deleted."), url_for("messages.restore", draft_id=kept.id))
            return redirect(url_for("messages.index"))
    page = render_template(
        "messages/delete.html",
        message=message,
        refusal=services.explain_use(names) if names else None,
        mailings=services.find_mailings(message.id),
    )
    return page, 409 if names and request.method == "POST" else 200


@bp.post("/<int:message_id>/test")
@login_required
def test(message_id: int) -> ResponseReturnValue:
    """Send the letter to oneself, with a client's values."""
    message = get_own(Message, message_id)
    client_id = request.form.get("client", type=parse_big_id)
    client = queries.find_client(current_user.id, client_id)
    if client_id is not None and client is None:
        abort(404)
    try:
        check_content(Content(message.subject, message.format, message.body))
    except TemplateError as error:
        flash(services.explain_error(error), "danger")
        return redirect(url_for("messages.show", message_id=message.id))
    outbox.add_letter(
        current_user, "test-letter", message_id=message.id, client_id=client.id if client else None
    )
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("A test letter is on its way to %(address)s.", address=current_user.email), "success")
    return redirect(url_for("messages.show", message_id=message.id, client=client.id if client else None))
