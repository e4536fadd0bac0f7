"""Previews of a message, saved or not, as a client would get it.

A message is HTML that a user wrote. It is served under a policy that allows no scripts and gives it an opaque
origin, and is also shown in a sandboxed frame.
"""

from flask import Response, abort, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal
from flask_login import current_user, login_required

from skymailing.clock import utcnow
from skymailing.delivery.audience.flags import check_flags, make_reader
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.letter import (
    EXAMPLE,
    Content,
    Sender,
    TemplateError,
    check_content,
    make_recipient,
)
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.senders import From, describe_from, service_address
from skymailing.email_addresses import display_address
from skymailing.extensions import db
from skymailing.link_checks.services import find_check
from skymailing.link_checks.words import describe_link
from skymailing.messages import queries, services
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.files import list_files
from skymailing.messages.forms import read_typed
from skymailing.messages.letter_insight import Insight, inspect_letter
from skymailing.messages.outlook_look import imitate_outlook
from skymailing.messages.placeholders import write_path
from skymailing.messages.readability import explain_finding, find_findings
from skymailing.messages.reviewers import list_usable
from skymailing.messages.views.blueprint import bp
from skymailing.models import Client, Message, User
from skymailing.outbox.queries import find_unsent_test, list_tests
from skymailing.security import get_own
from skymailing.senders.queries import find_default_sender
from skymailing.web.ids import parse_big_id
from skymailing.web.letter_pages import seal_frame
from skymailing.web.urls import unsubscribe_url
from skymailing.web.user_turns import takes_turns

OUTLOOK = "outlook"  # the name of a look


@bp.get("/<int:message_id>")
@login_required
@takes_turns
def show(message_id: int) -> ResponseReturnValue:
    """Show a message as one of the clients would get it."""
    message = get_own(Message, message_id)
    client = get_chosen_client()
    search = request.args.get("q", "").replace("\0", "").strip()[:200]
    insight, problem = None, None
    try:
        insight = inspect(read_current(db.session, message), client)
    except TemplateError as error:
        problem = explain_template_error(error)
    before, after = queries.find_neighbors(client) if client else (None, None)
    return render_template(
        "messages/show.html",
        message=message,
        unsent_test=find_unsent_test(message.owner_id, message.id, utcnow()),
        client=client,
        recipient=make_recipient(client) if client else EXAMPLE,
        source=describe_default(current_user),
        rendered=insight.rendered if insight else None,
        problem=problem,
        has_example_links=queries.has_example_links(message),
        empty=list_empty(insight) if insight else [],
        unknown=insight.unknown if insight else [],
        before=before,
        after=after,
        search=search,
        found=queries.search_clients(current_user.id, search) if search else [],
        mailings=services.find_mailings(message.id),
        link_check=find_check(message),
        describe_link=describe_link,
        reviewers=list_usable(current_user.id),
        tests=list_tests(current_user.id, message.id),
        files=list_files(message),
    )


@bp.get("/<int:message_id>/preview", endpoint="preview")
@login_required
@takes_turns
def show_part(message_id: int) -> ResponseReturnValue:
    """Return one part of the letter for the frame."""
    message = get_own(Message, message_id)
    client = get_chosen_client()
    content = read_current(db.session, message)
    try:
        rendered = inspect(content, client).rendered
    except TemplateError as error:
        return seal_frame(Response(explain_template_error(error), mimetype="text/plain"))
    if request.args.get("part", "html") == "html" and rendered.html:
        return seal_frame(Response(show_in_program(rendered.html), mimetype="text/html"))
    return seal_frame(Response(rendered.text, mimetype="text/plain"))


def show_in_program(html: str) -> str:
    """Return the page of a letter, as the program that the request names would show it."""
    return imitate_outlook(html) if request.values.get("look") == OUTLOOK else html


@bp.route("/preview", methods=["GET", "POST"])
@login_required
@takes_turns
def typed() -> ResponseReturnValue:
    """Return the typed content as a client would get it; save nothing.

    The form posts into the frame next to it, so that this works without JavaScript and no input is lost.
    With `part=html`, the response is only the letter, without recipient and subject.
    """
    insight, problem, findings = None, None, []
    client = get_chosen_client()
    recipient = make_recipient(client) if client else EXAMPLE
    if request.method == "POST":
        try:
            insight = inspect(content := read_checked(), client)
            findings = find_findings(current_user, content, insight)
        except InvalidSource as error:
            problem = explain_source_error(error)
        except TemplateError as error:
            problem = explain_template_error(error)
    if request.form.get("part") == "html":
        page = show_in_program(insight.rendered.html) if insight and insight.rendered.html else ""
        return seal_frame(make_response(page or render_template("messages/no_letter.html")))
    page = render_template(
        "messages/typed.html",
        rendered=insight.rendered if insight else None,
        recipient=recipient,
        empty=list_empty(insight) if insight else [],
        unknown=insight.unknown if insight else [],
        problem=problem,
        findings=[explain_finding(finding) for finding in findings],
    )
    return seal_frame(make_response(page))


@bp.post("/insight")
@login_required
@takes_turns
def insight() -> ResponseReturnValue:
    """Return facts about the typed content for the editor."""
    client = get_chosen_client()
    recipient = make_recipient(client) if client else EXAMPLE
    to = " · ".join(filter(None, (recipient.name, display_address(recipient.email))))
    try:
        facts = inspect(content := read_checked(), client)
        findings = find_findings(current_user, content, facts)
    except InvalidSource as error:
        text = explain_source_error(error, with_place=False)
        return jsonify(to=to, problem={"text": text, "line": error.line, "pointer": error.pointer})
    except TemplateError as error:
        is_composed = bool(request.form.get("source_format"))  # then lines are not those of the source
        text = explain_template_error(error, with_line=not is_composed)
        line = None if is_composed else error.line
        problem = {"text": text, "line": line, "in_subject": error.in_subject}
        return jsonify(to=to, problem=problem)
    return jsonify(
        to=to,
        subject=facts.rendered.subject,
        text=facts.rendered.text,
        has_html=bool(facts.rendered.html),
        size=str(format_decimal(round(facts.size / 1024, 1))),
        clipped=facts.is_clipped,
        empty=[write_path(path) for path in facts.empty],
        unknown=[[found.text, found.suggestion] for found in facts.unknown],
        findings=[{"text": explain_finding(found), "pointer": found.pointer} for found in findings],
    )


@bp.get("/recipients")
@login_required
def recipients() -> ResponseReturnValue:
    """Find clients for the editor's preview."""
    search = request.args.get("q", "").replace("\0", "").strip()[:200]
    clients = queries.search_clients(current_user.id, search)
    return jsonify([{"id": c.id, "name": c.full_name, "email": display_address(c.email)} for c in clients])


def read_checked() -> Content:
    """Return the typed content; raises InvalidSource and TemplateError, with the line in what was typed."""
    if request.form.get("layout"):
        check_content(read_typed(current_user, has_layout=False))
    check_content(content := read_typed(current_user))
    return content


def get_chosen_client() -> Client | None:
    """Return the chosen client, else the first one; 404 for another owner's client."""
    chosen = request.values.get("client", type=parse_big_id)
    client = queries.find_client(current_user.id, chosen)
    if chosen is not None and client is None:
        abort(404)
    return client


def inspect(content: Content, client: Client | None) -> Insight:
    """Return a letter for a client or an example, and facts about it; raises TemplateError."""
    check_flags(current_user, content)
    recipient = make_reader(content, client, EXAMPLE)
    url = unsubscribe_url("example")
    source = describe_default(current_user)
    sender = Sender(source.name, source.address or service_address(), source.reply_to)
    attributes = queries.find_attributes(current_user.id)
    return inspect_letter(content, recipient, sender, url, attributes, ValueFormats.of(current_user))


def describe_default(user: User) -> From:
    """Return the default sender, which the user's mailings use unless they choose another one."""
    return describe_from(user, find_default_sender(user.id))


def list_empty(insight: Insight) -> list[str]:
    """Return the placeholders that print nothing for this recipient, as written in the message."""
    return [write_path(path) for path in insight.empty]
