"""Previews of a message, saved or not, as a client would get it.

A message is HTML written by a user. It is therefore served with a policy that allows no scripts and gives it
an opaque origin, and is shown in a sandboxed frame.
"""

from contextlib import suppress

from flask import Response, abort, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal
from flask_login import current_user, login_required

from skymailing.checkup.registry import LINK_CHECKS, find_failed, run_checks
from skymailing.checkup.results import Checked
from skymailing.checkup.texts import Checkup, describe, describe_all
from skymailing.clock import utcnow
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.letter import (
    EXAMPLE,
    Content,
    TemplateError,
    check_content,
    make_recipient,
)
from skymailing.delivery.senders import From, describe_from
from skymailing.email_addresses import display_address
from skymailing.extensions import db
from skymailing.link_checks.services import find_check
from skymailing.link_checks.words import describe_link
from skymailing.messages import queries, services
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.files import list_files
from skymailing.messages.forms import read_typed
from skymailing.messages.letter_check import (
    SHOWN_IN_EDITOR,
    add_source,
    check_letter,
    find_recipient,
    inspect_for,
)
from skymailing.messages.letter_insight import Insight
from skymailing.messages.outlook_look import imitate_outlook
from skymailing.messages.placeholders import write_path
from skymailing.messages.readability import explain_finding, find_findings
from skymailing.messages.reviewers import list_usable
from skymailing.messages.views.blueprint import bp
from skymailing.models import Client, LinkCheck, Message, User
from skymailing.outbox.queries import find_unsent_test, list_tests
from skymailing.security import get_own
from skymailing.senders.queries import find_default_sender
from skymailing.web.ids import parse_big_id
from skymailing.web.letter_pages import seal_frame
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
    content = read_current(db.session, message)
    try:
        insight = inspect(content, client)
    except TemplateError as error:
        problem = explain_template_error(error)
    link_check = find_check(message)
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
        link_check=link_check,
        checkup=make_checkup(message, content, insight, link_check) if insight else None,
        describe_link=describe_link,
        reviewers=list_usable(current_user.id),
        tests=list_tests(current_user.id, message.id),
        files=list_files(message),
    )


def make_checkup(message: Message, content: Content, insight: Insight, links: LinkCheck | None) -> Checkup:
    """Return the problems that could keep a saved message out of the inbox."""
    checked: list[Checked] = []
    with suppress(InvalidSource):  # then the letter contains the stored body
        findings = find_findings(current_user, add_source(content, message), insight)
        checked = check_letter(current_user, insight, findings)
    return describe_all([*checked, *run_checks(LINK_CHECKS, links)])


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
    """Return the page of a letter as the mail program in the request would show it."""
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
            findings = [text for text, _pointer in list_findings(content, insight)]
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
        findings=findings,
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
        findings = list_findings(content, facts)
    except InvalidSource as error:
        text = explain_source_error(error, with_place=False)
        return jsonify(to=to, problem={"text": text, "line": error.line, "pointer": error.pointer})
    except TemplateError as error:
        is_composed = bool(request.form.get("source_format"))  # then lines differ from those of the source
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
        findings=[{"text": text, "pointer": pointer} for text, pointer in findings],
    )


@bp.get("/recipients")
@login_required
def recipients() -> ResponseReturnValue:
    """Find clients for the editor's preview."""
    search = request.args.get("q", "").replace("\0", "").strip()[:200]
    clients = queries.search_clients(current_user.id, search)
    return jsonify([{"id": c.id, "name": c.full_name, "email": display_address(c.email)} for c in clients])


def read_checked() -> Content:
    """Return the typed content; raises InvalidSource and TemplateError with the line in the typed text."""
    if request.form.get("layout"):
        check_content(read_typed(current_user, has_layout=False))
    check_content(content := read_typed(current_user))
    return content


def get_chosen_client() -> Client | None:
    """Return the chosen client, or else the first one; 404 for another owner's client."""
    chosen = request.values.get("client", type=parse_big_id)
    client = queries.find_client(current_user.id, chosen)
    if chosen is not None and client is None:
        abort(404)
    return client


def inspect(content: Content, client: Client | None) -> Insight:
    """Return a letter for a client or a sample client, and facts about it; raises TemplateError."""
    recipient = find_recipient(current_user, content, client)
    attributes = queries.find_attributes(current_user.id)
    return inspect_for(current_user, content, recipient, describe_default(current_user), attributes)


def describe_default(user: User) -> From:
    """Return the default sender, which the user's mailings use unless they choose another one."""
    return describe_from(user, find_default_sender(user.id))


def list_findings(content: Content, insight: Insight) -> list[tuple[str, str]]:
    """Return findings about readability and delivery, each with the pointer to its block, if any."""
    findings = find_findings(current_user, content, insight)
    shown = [(explain_finding(finding), finding.pointer) for finding in findings]
    checked = find_failed(check_letter(current_user, insight, findings))
    return shown + [(describe(check).text, "") for check in checked if check.code not in SHOWN_IN_EDITOR]


def list_empty(insight: Insight) -> list[str]:
    """Return the placeholders that print nothing for this recipient, as written in the message."""
    return [write_path(path) for path in insight.empty]
