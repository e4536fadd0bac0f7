"""Pages that show owners the results of the letters sent by their programs."""

from functools import partial

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients.queries import find_by_key
from skymailing.clock import utcnow
from skymailing.db.pagination import paginate
from skymailing.delivery.rendering.letter import Rendered, TemplateError
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.transactional import fill_subject
from skymailing.dispatch import dispatch_mailings
from skymailing.extensions import db
from skymailing.letters import queries, unknowns
from skymailing.letters.forms import LetterFilterForm
from skymailing.letters.rendering import render_letter
from skymailing.mailings import services
from skymailing.mailings.errors import MailingError
from skymailing.mailings.state_text import explain_state
from skymailing.models import DeliveryState, TransactionalLetter
from skymailing.web.error_texts import explain
from skymailing.web.letter_pages import seal_frame
from skymailing.web.user_turns import takes_turns

bp = Blueprint("transactional", __name__, url_prefix="/letters")
BLUEPRINTS = (bp,)


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's transactional letters, newest first."""
    form = LetterFilterForm(formdata=request.args)
    is_valid = form.validate()
    state = DeliveryState(form.state.data) if is_valid and form.state.data else None
    text = (form.q.data or "") if is_valid else ""
    statement = queries.search_letters(current_user.id, state, text)
    return render_template(
        "letters/index.html",
        form=form,
        page=paginate(statement, queries.NEWEST_FIRST, request.args.get("cursor")),
        arguments={key: value for key, value in request.args.items() if key != "cursor" and value},
        stopped=queries.list_stopped(current_user.id),
        waiting=unknowns.count_waiting(current_user.id),
        explain_state=explain_state,
        fill_subject=partial(fill_subject, formats=ValueFormats.of(current_user)),
    )


@bp.get("/<big:letter_id>")
@login_required
@takes_turns
def show(letter_id: int) -> ResponseReturnValue:
    """Show a letter as its recipient received it, with its attempts."""
    letter = queries.find_letter(current_user.id, letter_id) or abort(404)
    return render_template(
        "letters/show.html",
        letter=letter,
        rendered=try_to_render(letter),
        client=find_by_key(current_user.id, letter.delivery.email_key),
        files=queries.list_files(letter),
        attempts=queries.list_attempts(letter.delivery_id),
    )


@bp.get("/<big:letter_id>/html")
@login_required
@takes_turns
def show_html(letter_id: int) -> ResponseReturnValue:
    """Serve the letter alone, for the frame in the page."""
    letter = queries.find_letter(current_user.id, letter_id) or abort(404)
    rendered = try_to_render(letter) or abort(404)
    if not rendered.html:
        return seal_frame(Response(rendered.text, mimetype="text/plain"))
    return seal_frame(Response(rendered.html, mimetype="text/html"))


def try_to_render(letter: TransactionalLetter) -> Rendered | None:
    """Return the letter; None if it can no longer be rendered, for example after a change of settings."""
    try:
        return render_letter(letter, ValueFormats.of(current_user))
    except TemplateError:
        return None


@bp.route("/settle-unknowns", methods=["GET", "POST"])
@login_required
def settle_unknowns() -> ResponseReturnValue:
    """Ask whether to resend letters that may have arrived, and apply the decision."""
    if request.method == "POST":
        match request.form.get("decision"):
            case "resend":
                return resend_unknowns()
            case "leave":
                return leave_unknowns()
            case _:
                abort(400)
    count = unknowns.count_waiting(current_user.id)
    if not count:
        return redirect(url_for("transactional.index"))
    resendable = unknowns.count_resendable(current_user.id, utcnow())
    return render_template("letters/unknown.html", count=count, resendable=resendable)


def resend_unknowns() -> ResponseReturnValue:
    now = utcnow()
    try:
        count, mailing_ids = unknowns.resend(current_user.id, now)
    except MailingError as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return redirect(url_for("transactional.index"))
    db.session.commit()
    dispatch_mailings(mailing_ids, now)
    text = ngettext("%(num)d email will be sent again.", "%(num)d emails will be sent again.", count)
    flash(text, "success")
    return redirect(url_for("transactional.index"))


def leave_unknowns() -> ResponseReturnValue:
    count = unknowns.leave(current_user.id, utcnow())
    db.session.commit()
    text = ngettext(
        "%(num)d unclear email will not be sent again.",
        "%(num)d unclear emails will not be sent again.",
        count,
    )
    flash(text, "success")
    return redirect(url_for("transactional.index"))


@bp.post("/resume")
@login_required
def resume() -> ResponseReturnValue:
    """Resume sending transactional letters."""
    now = utcnow()
    stopped = queries.list_stopped(current_user.id)
    try:
        for mailing in stopped:
            services.resume_mailing(mailing, now, current_actor())
    except MailingError as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return redirect(url_for("transactional.index"))
    ids = [mailing.id for mailing in stopped]
    db.session.commit()
    dispatch_mailings(ids, now)
    if ids:
        flash(_("Transactional emails are sent again."), "success")
    return redirect(url_for("transactional.index"))
