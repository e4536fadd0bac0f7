"""Showing a letter as a client gets it, saved or not, in a frame that can do nothing.

A letter is somebody's HTML: it is served with a policy of its own, without scripts and without an
origin, and is shown in a sandboxed frame besides.
"""

from flask import Response, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing.delivery.content import find_placeholders
from skymailing.delivery.render import (
    EXAMPLE,
    Content,
    Recipient,
    Rendered,
    TemplateError,
    find_empty,
    make_recipient,
    preview,
)
from skymailing.links import public_url
from skymailing.messages import queries, services
from skymailing.messages.blueprint import bp
from skymailing.messages.forms import MessageForm
from skymailing.messages.placeholders import write_path
from skymailing.models import Client, Message
from skymailing.security import get_own
from skymailing.web import parse_big_id

POLICY = (
    "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@bp.get("/<int:message_id>")
@login_required
def show(message_id: int) -> ResponseReturnValue:
    """Show a message as one of the clients gets it."""
    message = get_own(Message, message_id)
    client = get_chosen_client()
    content = Content(message.subject, message.format, message.body)
    recipient = make_recipient(client) if client else EXAMPLE
    search = request.args.get("q", "").replace("\0", "").strip()[:200]
    rendered, problem = None, None
    try:
        rendered = render_for(content, recipient)
    except TemplateError as error:
        problem = services.explain_error(error)
    before, after = queries.find_neighbours(client) if client else (None, None)
    return render_template(
        "messages/show.html",
        message=message,
        client=client,
        recipient=recipient,
        rendered=rendered,
        problem=problem,
        empty=describe_empty(content, recipient) if rendered else [],
        before=before,
        after=after,
        search=search,
        found=queries.search_clients(current_user.id, search) if search else [],
        mailings=services.find_mailings(message.id),
    )


@bp.get("/<int:message_id>/preview", endpoint="preview")
@login_required
def show_part(message_id: int) -> ResponseReturnValue:
    """Return one part of the letter alone, for the frame."""
    message = get_own(Message, message_id)
    client = get_chosen_client()
    content = Content(message.subject, message.format, message.body)
    try:
        rendered = render_for(content, make_recipient(client) if client else EXAMPLE)
    except TemplateError as error:
        return seal(Response(services.explain_error(error), mimetype="text/plain"))
    if request.args.get("part", "html") == "html" and rendered.html:
        return seal(Response(rendered.html, mimetype="text/html"))
    return seal(Response(rendered.text, mimetype="text/plain"))


@bp.route("/draft", methods=["GET", "POST"])
@login_required
def draft() -> ResponseReturnValue:
    """Return what is being typed as a client would get it; saves nothing.

    The form posts here into the frame beside it, so that this works without JavaScript and nothing
    typed is lost.
    """
    form = MessageForm()
    rendered, empty, problems = None, list[str](), list[str]()
    client = queries.find_client(current_user.id, None)
    recipient = make_recipient(client) if client else EXAMPLE
    if form.validate_on_submit():
        try:
            rendered = render_for(form.read_content(), recipient)
            empty = describe_empty(form.read_content(), recipient)
        except TemplateError as error:
            problems = [services.explain_error(error)]
    elif form.is_submitted():
        problems = [str(error) for errors in form.errors.values() for error in errors]
    page = render_template(
        "messages/draft.html", rendered=rendered, recipient=recipient, empty=empty, problems=problems
    )
    return seal(make_response(page))


def get_chosen_client() -> Client | None:
    """Return the client whom the page is to show; somebody else's is 404."""
    chosen = request.args.get("client", type=parse_big_id)
    client = queries.find_client(current_user.id, chosen)
    if chosen is not None and client is None:
        abort(404)
    return client


def render_for(content: Content, recipient: Recipient) -> Rendered:
    url = public_url("home.index").rstrip("/") + "/u/example"
    return preview(content, recipient, sender_name=current_user.sender_name, unsubscribe_url=url)


def describe_empty(content: Content, recipient: Recipient) -> list[str]:
    """Return the placeholders, as they are written, that print nothing for this recipient."""
    return [write_path(path) for path in find_empty(find_placeholders(content), recipient)]


def seal(response: Response) -> Response:
    """Give a letter's response the policy under which it can do nothing."""
    response.headers["Content-Security-Policy"] = POLICY
    return response
