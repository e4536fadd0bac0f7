"""Test letters: sent from a message's page or from the editor, to addresses whose readers have agreed."""

from flask import abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user, login_required
from flask_wtf import FlaskForm
from wtforms.validators import DataRequired

from skymailing import queue
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.letter import Content, TemplateError, check_content
from skymailing.email_addresses import display_address
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.messages import queries, reviewers
from skymailing.messages.error_texts import explain_source_error, explain_template_error
from skymailing.messages.forms import read_typed
from skymailing.messages.views.blueprint import bp
from skymailing.models import Message, Reviewer
from skymailing.outbox import services as outbox
from skymailing.outbox.queries import list_tests
from skymailing.outbox.reviewer_tokens import read_reviewer_token
from skymailing.outbox.services import TestLetterContent
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.senders.forms import make_address_field
from skymailing.senders.queries import find_default_sender
from skymailing.tokens import BadToken
from skymailing.web.error_texts import explain
from skymailing.web.ids import parse_big_id, parse_id
from skymailing.web.user_turns import takes_turns

# The parts of an unsaved text that a test letter keeps until it is sent.
TYPED_FIELDS = ("subject", "format", "body", "language", "preheader")


class ReviewerForm(FlaskForm):
    """A new address for test letters."""

    address = make_address_field(
        _l("Email address"), DataRequired(_l("Enter an email address.")), description=""
    )


@bp.post("/<int:message_id>/test")
@login_required
def test(message_id: int) -> ResponseReturnValue:
    """Send a saved message, with a client's values, to the chosen addresses."""
    message = get_own(Message, message_id)
    client_id = get_client_id()
    try:
        check_content(Content.of(message))
        text = send_tests(TestLetterContent(message.id), client_id)
    except TemplateError as error:
        flash(explain_template_error(error), "danger")
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        flash(text, "success")
    return redirect(url_for("messages.show", message_id=message_id, client=client_id))


@bp.post("/test")
@login_required
@takes_turns
def test_typed() -> ResponseReturnValue:
    """Send the typed text to the chosen addresses, without saving it; the editor shows the result.

    Without scripts, the form posts into a new tab, so no input is lost.
    """
    client_id, problem, text = get_client_id(), "", ""
    message_id = request.form.get("message_id", type=parse_id)
    try:
        check_content(content := read_typed(current_user))
        start_writing()
        message = get_own(Message, message_id) if message_id else None
        typed = {name: str(getattr(content, name)) for name in TYPED_FIELDS}
        text = send_tests(TestLetterContent(message.id if message else None, typed=typed), client_id)
    except InvalidSource as error:
        problem = explain_source_error(error)
    except TemplateError as error:
        problem = explain_template_error(error)
    except UserError as error:
        db.session.rollback()
        problem = explain(error)
    if "as_json" in request.form:
        return jsonify(text=text, problem=problem)
    return render_template("messages/test_sent.html", text=text, problem=problem)


def get_client_id() -> int | None:
    """Return the ID of the chosen client, or None; 404 for another owner's client."""
    client_id = request.form.get("client", type=parse_big_id)
    client = queries.find_client(current_user.id, client_id)
    if client_id is not None and client is None:
        abort(404)
    return client.id if client else None


def send_tests(test: TestLetterContent, client_id: int | None) -> str:
    """Add the letters, commit, and return the text to show. Raises UserError."""
    addresses = reviewers.choose_recipients(current_user, request.form.getlist("to"))
    sender = find_default_sender(current_user.id)
    for address in addresses:
        outbox.add_test_letter(current_user, test, client_id, utcnow(), sender=sender, to=address)
    db.session.commit()
    queue.enqueue("send_outbox")
    if len(addresses) == 1:
        return str(_("Test email sent to %(address)s.", address=display_address(addresses[0])))
    return str(ngettext("%(num)d test email sent.", "%(num)d test emails sent.", len(addresses)))


@bp.route("/test-emails", methods=["GET", "POST"])
@login_required
def test_emails() -> ResponseReturnValue:
    """List the addresses for test letters and the latest tests; add an address."""
    form = ReviewerForm()
    if form.validate_on_submit():
        try:
            reviewers.add_reviewer(current_user, form.address.data, utcnow())
        except UserError as error:
            db.session.rollback()
            form.address.errors = [explain(error)]
        else:
            db.session.commit()
            queue.enqueue("send_outbox")
            flash(_("We have sent a link to this address."), "success")
            return redirect(url_for("messages.test_emails"))
    return render_template(
        "messages/test_emails.html",
        form=form,
        reviewers=reviewers.list_reviewers(current_user.id),
        tests=list_tests(current_user.id),
    )


@bp.post("/test-emails/<int:reviewer_id>/resend")
@login_required
def resend_reviewer(reviewer_id: int) -> ResponseReturnValue:
    """Send the link again."""
    reviewer = get_own(Reviewer, reviewer_id)
    try:
        reviewers.request_confirmation(reviewer, utcnow())
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
    else:
        db.session.commit()
        queue.enqueue("send_outbox")
        flash(_("We have sent a link to this address."), "success")
    return redirect(url_for("messages.test_emails"))


@bp.post("/test-emails/<int:reviewer_id>/delete")
@login_required
def delete_reviewer(reviewer_id: int) -> ResponseReturnValue:
    """Remove an address."""
    reviewers.delete_reviewer(get_own(Reviewer, reviewer_id))
    db.session.commit()
    flash(_("Address removed."), "success")
    return redirect(url_for("messages.test_emails"))


@bp.route("/test-emails/confirm/<token>", methods=["GET", "POST"])
def confirm_reviewer(token: str) -> ResponseReturnValue:
    """Show a button on GET, since mail scanners follow links; on POST, agree to test letters or stop them.

    The reader of the mailbox decides, so this needs no account.
    """
    form = FlaskForm()
    state = "ask"
    try:
        reviewer = read_reviewer_token(token)
        account, address = reviewer.owner.email, reviewer.address
        if form.validate_on_submit() and "stop" in request.form:
            reviewers.stop(token)
            state = "stopped"
        elif form.is_submitted() and not form.errors:
            reviewers.confirm(token, utcnow())
            state = "confirmed"
        elif reviewer.confirmed_at is not None:
            state = "confirmed"
    except BadToken as error:
        db.session.rollback()
        return render_template("messages/reviewer_failed.html", reason=error.reason), 410
    db.session.commit()
    return render_template("messages/reviewer.html", form=form, state=state, account=account, address=address)
