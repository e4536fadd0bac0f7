"""Pages of messages; `previews` adds its own to the same blueprint."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing import mail, queue
from skymailing.audit import present_actor
from skymailing.delivery.render import Content, TemplateError, check_content
from skymailing.extensions import db
from skymailing.messages import previews, queries, services
from skymailing.messages.blueprint import bp
from skymailing.messages.examples import get_example, list_examples
from skymailing.messages.forms import MessageForm
from skymailing.messages.placeholders import list_placeholders
from skymailing.models import Message, MessageFormat
from skymailing.pagination import paginate
from skymailing.security import get_own
from skymailing.web import parse_big_id

__all__ = ["bp", "previews"]


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List my messages."""
    search = request.args.get("q", "").replace("\0", "").strip()[:200]
    sort = request.args.get("sort", queries.DEFAULT_ORDER)
    if sort not in queries.ORDERS:
        sort = queries.DEFAULT_ORDER
    page = paginate(
        queries.list_messages(current_user.id, search), queries.ORDERS[sort], request.args.get("cursor")
    )
    return render_template("messages/index.html", page=page, search=search, sort=sort)


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Write a message, from nothing or from an example."""
    example = get_example(request.args.get("example", ""), get_locale().language)
    form = MessageForm(data=example)
    if form.validate_on_submit():
        message = Message(owner_id=current_user.id)
        save(message, form)
        db.session.add(message)
        db.session.commit()
        flash(_("The message was saved. This is what a client gets."), "success")
        return redirect(url_for("messages.show", message_id=message.id))
    return show_form(form, None, is_empty=request.method == "GET" and example is None)


@bp.route("/<int:message_id>/edit", methods=["GET", "POST"])
@login_required
def edit(message_id: int) -> ResponseReturnValue:
    """Change a message; runs that have started keep the text they started with."""
    message = get_own(Message, message_id)
    form = MessageForm(
        data={"subject": message.subject, "format": message.format.value, "body": message.body}
    )
    if form.validate_on_submit():
        save(message, form)
        db.session.commit()
        flash(_("The message was saved."), "success")
        return redirect(url_for("messages.show", message_id=message.id))
    return show_form(form, message)


def save(message: Message, form: MessageForm) -> None:
    message.subject = form.subject.data
    message.format = MessageFormat(form.format.data)
    message.body = form.body.data


def show_form(form: MessageForm, message: Message | None, *, is_empty: bool = False) -> str:
    return render_template(
        "messages/form.html",
        form=form,
        message=message,
        placeholders=list_placeholders(queries.find_attributes(current_user.id)),
        examples=list_examples() if is_empty else [],
        mailings=services.find_mailings(message.id) if message else [],
    )


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
    """Ask, then delete a message that no mailing sends."""
    message = get_own(Message, message_id)
    names = [mailing.name for mailing in services.find_mailings(message.id)]
    if request.method == "POST":
        try:
            services.delete_message(message, present_actor())
        except services.MessageInUse as error:
            names = error.names
        else:
            db.session.commit()
            flash(_("The message was deleted."), "success")
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
    mail.post(current_user, "test-letter", message_id=message.id, client_id=client.id if client else None)
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("A test letter is on its way to %(address)s.", address=current_user.email), "success")
    return redirect(url_for("messages.show", message_id=message.id, client=client.id if client else None))
