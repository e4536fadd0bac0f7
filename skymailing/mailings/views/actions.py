"""The buttons of a mailing's page: each calls one verb and may be pressed twice without harm."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import clock, queue
from skymailing.errors import IllegalTransition, SkyMailingError
from skymailing.extensions import db
from skymailing.mailings import queries, services, tasks
from skymailing.mailings.views.blueprint import bp, get_own_mailing
from skymailing.models import Mailing, MailingState, User
from skymailing.outbox import services as outbox
from skymailing.web.labels import state_label

T = TypeVar("T")


@bp.post("/<int:mailing_id>/start")
@login_required
def start(mailing_id: int) -> Response:
    """Start a draft or scheduled mailing at once."""
    return carry_out(mailing_id, services.start_now, say(_("The mailing starts now.")))


@bp.post("/<int:mailing_id>/pause")
@login_required
def pause(mailing_id: int) -> Response:
    """Stop handing over letters until it is resumed."""
    return carry_out(mailing_id, services.pause_mailing, say(_("The mailing is paused.")))


@bp.post("/<int:mailing_id>/resume")
@login_required
def resume(mailing_id: int) -> Response:
    """Go on where it was paused."""
    return carry_out(mailing_id, services.resume_mailing, say(_("The mailing goes on.")))


@bp.route("/<int:mailing_id>/cancel", methods=["GET", "POST"])
@login_required
def cancel(mailing_id: int) -> str | Response:
    """Cancel what has not been sent, for good; asks first."""
    if request.method == "POST":
        return carry_out(mailing_id, services.cancel_mailing, say(_("The mailing is cancelled.")))
    mailing = get_own_mailing(mailing_id)
    if mailing.state in {MailingState.CANCELLED, MailingState.FINISHED}:
        return show(mailing_id)
    return render_template("mailings/cancel.html", mailing=mailing)


@bp.post("/<int:mailing_id>/resend-failed")
@login_required
def resend_failed(mailing_id: int) -> Response:
    """Try once more those that failed in the last run."""
    return carry_out(mailing_id, services.resend_failed, tell_of_failed)


@bp.route("/<int:mailing_id>/settle-unknowns", methods=["GET", "POST"])
@login_required
def settle_unknowns(mailing_id: int) -> str | Response:
    """Send the unclear letters of the last run once more, or leave them; asks which."""
    mailing = get_own_mailing(mailing_id)
    if request.method == "POST":
        match request.form.get("decision"):
            case "resend":
                return carry_out(mailing_id, services.resend_unknowns, tell_of_resent)
            case "leave":
                return carry_out(mailing_id, services.leave_unknowns, tell_of_left)
            case _:
                abort(400)
    count = queries.count_waiting_unknowns(mailing)
    if not count or mailing.is_disabled:
        return show(mailing_id)
    can_resend = mailing.state is not MailingState.CANCELLED and mailing.ends_at > clock.utcnow()
    return render_template(
        "mailings/settle_unknowns.html", mailing=mailing, count=count, can_resend=can_resend
    )


@bp.post("/<int:mailing_id>/test")
@login_required
def test(mailing_id: int) -> Response:
    """Send the mailing's message to its owner alone."""
    send_test_letter(current_user, get_own_mailing(mailing_id).message_id)
    return show(mailing_id)


def send_test_letter(user: User, message_id: int) -> None:
    """Send one of the user's messages to the user alone, and say so; commits."""
    outbox.add_letter(user, "test-letter", message_id=message_id, client_id=None)
    address = user.email
    db.session.commit()
    queue.enqueue("send_outbox")
    flash(_("A test letter is on its way to %(address)s.", address=address), "success")


def carry_out(mailing_id: int, verb: Callable[[Mailing, datetime], T], tell: Callable[[T], None]) -> Response:
    """Do it, commit, tell the workers and the person; or say why it cannot be done."""
    mailing = get_own_mailing(mailing_id)
    now = clock.utcnow()
    try:
        result = verb(mailing, now)
    except SkyMailingError as error:
        return refuse(mailing_id, error)
    db.session.commit()
    tasks.announce(mailing, now)
    tell(result)
    return show(mailing_id)


def say(done: str) -> Callable[[None], None]:
    return lambda _nothing: flash(done, "success")


def tell_of_failed(count: int) -> None:
    if count:
        flash(
            ngettext("%(num)d letter is tried again.", "%(num)d letters are tried again.", count), "success"
        )
    else:
        flash(_("There is nothing to resend: no letter of the last run failed."), "warning")


def tell_of_resent(count: int) -> None:
    if count:
        flash(
            ngettext(
                "%(num)d unclear letter is sent once more.",
                "%(num)d unclear letters are sent once more.",
                count,
            ),
            "success",
        )
    else:
        tell_of_nothing_unclear()


def tell_of_left(count: int) -> None:
    if count:
        flash(
            ngettext(
                "%(num)d unclear letter is left as it is.",
                "%(num)d unclear letters are left as they are.",
                count,
            ),
            "success",
        )
    else:
        tell_of_nothing_unclear()


def tell_of_nothing_unclear() -> None:
    flash(_("No unclear letter waits for a decision any more."), "warning")


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
