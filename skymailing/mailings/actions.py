"""The buttons of a mailing's page: each calls one verb and may be pressed twice without harm."""

from collections.abc import Callable
from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import clock, mail, queue
from skymailing.errors import IllegalTransition, SkyMailingError
from skymailing.extensions import db
from skymailing.mailings import dispatch, services
from skymailing.mailings.blueprint import bp, get_own_mailing
from skymailing.models import Mailing, MailingState
from skymailing.states import state_label

Verb = Callable[[Mailing, datetime], object]


@bp.post("/<int:mailing_id>/start")
@login_required
def start(mailing_id: int) -> Response:
    """Start a draft or scheduled mailing at once."""
    return carry_out(mailing_id, services.start_now, _("The mailing starts now."))


@bp.post("/<int:mailing_id>/pause")
@login_required
def pause(mailing_id: int) -> Response:
    """Stop handing over letters until it is resumed."""
    return carry_out(mailing_id, services.pause_mailing, _("The mailing is paused."))


@bp.post("/<int:mailing_id>/resume")
@login_required
def resume(mailing_id: int) -> Response:
    """Go on where it was paused."""
    return carry_out(mailing_id, services.resume_mailing, _("The mailing goes on."))


@bp.route("/<int:mailing_id>/cancel", methods=["GET", "POST"])
@login_required
def cancel(mailing_id: int) -> str | Response:
    """Cancel what has not been sent, for good; asks first."""
    if request.method == "POST":
        return carry_out(mailing_id, services.cancel_mailing, _("The mailing is cancelled."))
    mailing = get_own_mailing(mailing_id)
    if mailing.state in {MailingState.CANCELLED, MailingState.FINISHED}:
        return show(mailing_id)
    return render_template("mailings/cancel.html", mailing=mailing)


@bp.post("/<int:mailing_id>/resend-failed")
@login_required
def resend_failed(mailing_id: int) -> Response:
    """Try once more those that failed in the last run."""
    mailing = get_own_mailing(mailing_id, to_change=True)
    now = clock.utcnow()
    try:
        count = services.resend_failed(mailing, now)
    except SkyMailingError as error:
        return refuse(mailing_id, error)
    db.session.commit()
    dispatch.announce(mailing, now)
    flash(
        ngettext("%(num)d letter is tried again.", "%(num)d letters are tried again.", count)
        if count
        else _("There is nothing to resend: no letter of the last run failed."),
        "success" if count else "warning",
    )
    return show(mailing_id)


@bp.post("/<int:mailing_id>/test")
@login_required
def test(mailing_id: int) -> Response:
    """Send the mailing's message to its owner alone."""
    mailing = get_own_mailing(mailing_id, to_change=True)
    mail.post(current_user, "test-letter", message_id=mailing.message_id, client_id=None)
    address = current_user.email
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("A test letter is on its way to %(address)s.", address=address), "success")
    return show(mailing_id)


def carry_out(mailing_id: int, verb: Verb, done: str) -> Response:
    """Do it, commit, tell the workers; or say why it cannot be done."""
    mailing = get_own_mailing(mailing_id, to_change=True)
    now = clock.utcnow()
    try:
        verb(mailing, now)
    except SkyMailingError as error:
        return refuse(mailing_id, error)
    db.session.commit()
    dispatch.announce(mailing, now)
    flash(done, "success")
    return show(mailing_id)


def refuse(mailing_id: int, error: SkyMailingError) -> Response:
    db.session.rollback()
    message = str(error)
    if isinstance(error, IllegalTransition):
        # Pressed twice, or the mailing has moved on since the page was shown.
        state = state_label(get_own_mailing(mailing_id).state)
        message = _("This is not possible now: the mailing is %(state)s.", state=state)
    flash(message, "warning")
    return show(mailing_id)


def show(mailing_id: int) -> Response:
    return redirect(url_for("mailings.show", mailing_id=mailing_id))
