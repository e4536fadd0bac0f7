"""The buttons on a mailing's page. Each calls one service, and pressing it twice is harmless."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import clock, queue
from skymailing.audit import current_actor
from skymailing.db.engine import start_writing, starts_reading
from skymailing.delivery.senders import is_usable
from skymailing.dispatch import commit_and_dispatch
from skymailing.errors import IllegalTransition, UserError
from skymailing.extensions import db
from skymailing.mailings import queries, resending, services
from skymailing.mailings.errors import MailingError
from skymailing.mailings.follow_up import create_follow_up
from skymailing.mailings.variants import list_test_letters, read_variants
from skymailing.mailings.views.blueprint import bp, get_own_mailing
from skymailing.models import Mailing, MailingState, Sender, User
from skymailing.outbox import services as outbox
from skymailing.outbox.services import TestLetterContent
from skymailing.quotas.checks import LimitReached
from skymailing.web.error_texts import explain
from skymailing.web.labels import state_label

T = TypeVar("T")


@bp.post("/<int:mailing_id>/start")
@login_required
@starts_reading
def start(mailing_id: int) -> Response:
    """Start a draft or scheduled mailing immediately."""
    obstacle = services.find_obstacle(get_own_mailing(mailing_id), clock.utcnow())
    start_writing()
    return apply_action(mailing_id, partial(services.start_now, obstacle=obstacle), flash_started)


@bp.post("/<int:mailing_id>/pause")
@login_required
def pause(mailing_id: int) -> Response:
    """Stop sending until the mailing is resumed."""
    return apply_action(mailing_id, services.pause_mailing, flash_done(_("Mailing paused.")))


@bp.post("/<int:mailing_id>/resume")
@login_required
def resume(mailing_id: int) -> Response:
    """Resume a paused mailing where it stopped."""
    action = partial(services.resume_mailing, actor=current_actor())
    return apply_action(mailing_id, action, flash_done(_("Mailing resumed.")))


@bp.route("/<int:mailing_id>/cancel", methods=["GET", "POST"])
@login_required
def cancel(mailing_id: int) -> str | Response:
    """Cancel the unsent letters permanently, after a confirmation."""
    if request.method == "POST":
        return apply_action(mailing_id, services.cancel_mailing, flash_done(_("Mailing cancelled.")))
    mailing = get_own_mailing(mailing_id)
    if mailing.state in {MailingState.CANCELLED, MailingState.FINISHED}:
        return show(mailing_id)
    return render_template("mailings/cancel.html", mailing=mailing)


@bp.post("/<int:mailing_id>/resend-failed")
@login_required
def resend_failed(mailing_id: int) -> Response:
    """Resend the letters that failed in the last run."""
    return apply_action(mailing_id, resending.resend_failed, flash_failed)


@bp.post("/<int:mailing_id>/follow-up")
@login_required
def follow_up(mailing_id: int) -> Response:
    """Create a draft for those who received the mailing but have not clicked, and open its form."""
    mailing = get_own_mailing(mailing_id)
    try:
        draft_id = create_follow_up(mailing, clock.utcnow()).id
    except (UserError, IllegalTransition) as error:
        return show_obstacle(mailing_id, error)
    db.session.commit()
    flash(
        _("This draft is for those who got the mailing and have not clicked. Check it and schedule it."),
        "info",
    )
    return redirect(url_for("mailings.edit", mailing_id=draft_id))


@bp.route("/<int:mailing_id>/settle-unknowns", methods=["GET", "POST"])
@login_required
def settle_unknowns(mailing_id: int) -> str | Response:
    """Ask whether to resend the unknown letters of the last run, and apply the decision."""
    mailing = get_own_mailing(mailing_id)
    if request.method == "POST":
        match request.form.get("decision"):
            case "resend":
                return apply_action(mailing_id, resending.resend_unknowns, flash_resent)
            case "leave":
                return apply_action(mailing_id, resending.leave_unknowns, flash_left)
            case _:
                abort(400)
    count = queries.count_waiting_unknowns(mailing)
    if not count or mailing.is_disabled:
        return show(mailing_id)
    can_resend = queries.may_resend(mailing, clock.utcnow())
    return render_template(
        "mailings/unknown_deliveries.html", mailing=mailing, count=count, can_resend=can_resend
    )


@bp.post("/<int:mailing_id>/test")
@login_required
def test(mailing_id: int) -> Response:
    """Send the mailing's message, or each of its variants, only to its owner."""
    mailing = get_own_mailing(mailing_id)
    letters = list_test_letters(mailing.message_id, mailing.sender_name, read_variants(mailing))
    send_test_letters(current_user, letters, mailing.sender)
    return show(mailing_id)


def send_test_letters(user: User, letters: Sequence[TestLetterContent], sender: Sender | None) -> None:
    """Send the user's messages only to the user; commits, and flashes the result."""
    if sender is not None and not is_usable(sender):
        flash(explain(MailingError("mailing_sender_unconfirmed")), "danger")
        return
    try:
        for letter in letters:
            outbox.add_test_letter(user, letter, None, clock.utcnow(), sender=sender)
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return
    address = user.email
    db.session.commit()
    queue.enqueue("send_outbox")
    if len(letters) == 1:
        text = _("Test email sent to %(address)s.", address=address)
    else:
        text = ngettext(
            "%(num)d test email sent to %(address)s.",
            "%(num)d test emails sent to %(address)s.",
            len(letters),
            address=address,
        )
    flash(text, "success")


def apply_action(
    mailing_id: int, action: Callable[[Mailing, datetime], T], flash_result: Callable[[T], None]
) -> Response:
    """Apply a service to the mailing, commit, and show the result or the reason why it is not possible."""
    mailing = get_own_mailing(mailing_id)
    now = clock.utcnow()
    try:
        result = action(mailing, now)
    except (UserError, IllegalTransition) as error:
        return show_obstacle(mailing_id, error)
    commit_and_dispatch(mailing, now)
    flash_result(result)
    return show(mailing_id)


def flash_started(is_started: bool) -> None:
    if is_started:
        flash(_("The mailing starts now."), "success")
    else:
        flash(_("The mailing is already running."), "info")


def flash_done(text: str) -> Callable[[None], None]:
    return lambda _nothing: flash(text, "success")


def flash_failed(count: int) -> None:
    if count:
        text = ngettext("%(num)d email will be sent again.", "%(num)d emails will be sent again.", count)
        flash(text, "success")
    else:
        flash(_("Nothing to resend: the last send has no undelivered emails."), "warning")


def flash_resent(count: int) -> None:
    if count:
        text = ngettext(
            "%(num)d unclear email will be sent again.",
            "%(num)d unclear emails will be sent again.",
            count,
        )
        flash(text, "success")
    else:
        flash_no_unknowns()


def flash_left(count: int) -> None:
    if count:
        text = ngettext(
            "%(num)d unclear email will not be sent again.",
            "%(num)d unclear emails will not be sent again.",
            count,
        )
        flash(text, "success")
    else:
        flash_no_unknowns()


def flash_no_unknowns() -> None:
    flash(_("No emails need your decision."), "warning")


def show_obstacle(mailing_id: int, error: UserError | IllegalTransition) -> Response:
    db.session.rollback()
    if isinstance(error, UserError):
        text = explain(error)
    else:
        # The button was clicked twice, or the mailing has changed since the page was shown.
        state = state_label(get_own_mailing(mailing_id).state)
        text = _("This is not possible now: the mailing is %(state)s.", state=state)
    flash(text, "warning")
    return show(mailing_id)


def show(mailing_id: int) -> Response:
    return redirect(url_for("mailings.show", mailing_id=mailing_id))
