"""Request a check of a message's links, and show its result. Only a worker opens the links."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from skymailing import hints
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.liquid_tags import TemplateError
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.link_checks import services
from skymailing.link_checks.addresses import find_links
from skymailing.link_checks.words import describe_link
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.forms import read_typed
from skymailing.messages.views.blueprint import bp
from skymailing.models import LinkCheck, Message
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.ids import parse_id
from skymailing.web.urls import public_url
from skymailing.web.user_turns import takes_turns


@bp.post("/<int:message_id>/check-links")
@login_required
@takes_turns
def check_links(message_id: int) -> ResponseReturnValue:
    """Check the links of a saved message, including those of the current brand and layout."""
    message = get_own(Message, message_id)
    version = message.version
    try:
        found = find_links(read_current(db.session, message), public_url("home.index"))
        start_writing()
        message = get_own(Message, message_id)
        services.request_check(current_user, found, message, version, utcnow())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "warning")
    else:
        db.session.commit()
        hints.hint_link_checks()
    return redirect(url_for("messages.show", message_id=message_id, _anchor="links"))


@bp.post("/check-links")
@login_required
@takes_turns
def check_typed_links() -> ResponseReturnValue:
    """Check the links of the typed text without saving it; return a part of the page that updates itself."""
    check, problem = None, ""
    message_id = request.form.get("message_id", type=parse_id)
    try:
        content = read_typed(current_user)
        found = find_links(content, public_url("home.index"))
        start_writing()
        message = get_own(Message, message_id) if message_id else None
        is_saved = bool(message and (content.body, content.format) == (message.body, message.format))
        version = message.version if message and is_saved else None
        check = services.request_check(current_user, found, message, version, utcnow())
    except InvalidSource as error:
        problem = explain_source_error(error)
    except TemplateError as error:
        problem = explain_template_error(error)
    except UserError as error:
        db.session.rollback()
        problem = explain(error)
    else:
        db.session.commit()
        hints.hint_link_checks()
    return render_result(check, problem)


@bp.get("/link-checks/<int:check_id>")
@login_required
def link_check(check_id: int) -> ResponseReturnValue:
    """Show the result of a check, or that it is still waiting."""
    check = get_own(LinkCheck, check_id)
    return render_result(check)


def render_result(check: LinkCheck | None, problem: str = "") -> str:
    """Return the page with a result, or only the part that scripts update."""
    template = "link_checks/_result.html" if "part" in request.values else "link_checks/page.html"
    return render_template(template, check=check, problem=problem, describe_link=describe_link)
