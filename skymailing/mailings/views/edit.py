"""Pages to create, edit and delete a mailing."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit, clock
from skymailing.db.engine import start_writing
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.dispatch import commit_and_dispatch
from skymailing.extensions import db
from skymailing.mailings import deletion, queries, services
from skymailing.mailings.duplicate_submission import parse_opened_at
from skymailing.mailings.errors import DuplicateSubmission, InvalidMailing, MailingError
from skymailing.mailings.forecast import Reach
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.good_hour import find_good_hour
from skymailing.mailings.preflight import (
    STEPS,
    choose_step,
    find_chosen_message,
    make_preflight,
    measure_reach,
)
from skymailing.mailings.result_text import format_share
from skymailing.mailings.run_queries import has_runs
from skymailing.mailings.selection import Selection
from skymailing.mailings.sender_choices import find_sender
from skymailing.mailings.variants import list_test_letters
from skymailing.mailings.views import client_picker
from skymailing.mailings.views.actions import send_test_letters
from skymailing.mailings.views.blueprint import bp, get_own_mailing
from skymailing.mailings.views.form_data import make_initial_values, read_current_values
from skymailing.models import Audience, Mailing
from skymailing.quotas.checks import LimitReached
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.i18n import get_user_zone
from skymailing.web.ids import read_id
from skymailing.web.user_turns import takes_turns


@bp.route("/new", methods=["GET", "POST"])
@login_required
@takes_turns
def new() -> str | Response:
    """Create a mailing; it starts automatically unless it is saved as a draft."""
    now = clock.utcnow()
    form = make_form(now, make_initial_values(now))
    if not is_save_request() or not form.validate():
        return render_form(form, None)
    opened_at = parse_opened_at(form.opened_at.data)
    reach = count_before_saving(form)
    start_writing()
    try:
        mailing = services.create_mailing(
            current_user, form.read(), now, is_draft=is_draft(), opened_at=opened_at
        )
    except InvalidMailing as error:
        form.add_errors(error.errors)
        return render_form(form, None)
    except LimitReached as error:
        form.form_errors = [explain(error)]
        return render_form(form, None)
    except DuplicateSubmission as error:
        return redirect(url_for("mailings.show", mailing_id=error.mailing_id))
    mailing_id = mailing.id
    commit_and_dispatch(mailing, now)
    warn_about_recipients(reach)
    flash(_("Draft saved.") if is_draft() else _("The mailing is set up."), "success")
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


@bp.route("/<int:mailing_id>/edit", methods=["GET", "POST"])
@login_required
@takes_turns
def edit(mailing_id: int) -> str | Response:
    """Edit a mailing."""
    mailing = get_own_mailing(mailing_id)
    if not services.can_be_edited(mailing):
        return render_template("mailings/not_editable.html", mailing=mailing)
    now = clock.utcnow()
    form = make_form(now, read_current_values(mailing), mailing)
    if not is_save_request() or not form.validate():
        return render_form(form, mailing)
    reach = count_before_saving(form)
    start_writing()
    mailing = get_own_mailing(mailing_id, to_change=True)
    form = make_form(now, read_current_values(mailing), mailing)  # a run may have started since
    try:
        services.update_mailing(mailing, form.read(), now, is_draft=is_draft())
    except InvalidMailing as error:
        form.add_errors(error.errors)
        return render_form(form, mailing)
    commit_and_dispatch(mailing, now)
    warn_about_recipients(reach)
    flash(_("Changes saved."), "success")
    flash_unchanged_fields(form)
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


@bp.post("/preview")
@login_required
@takes_turns
def preview() -> str:
    """Show the summary for the form of a new mailing, without saving."""
    form = make_form(clock.utcnow(), {"message": None})
    form.validate()
    return render_template("mailings/_preflight.html", form=form, **make_preview(form, None))


@bp.post("/<int:mailing_id>/preview")
@login_required
@takes_turns
def preview_change(mailing_id: int) -> str:
    """Show the summary for the form of a saved mailing, without saving."""
    mailing = get_own_mailing(mailing_id)
    form = make_form(clock.utcnow(), read_current_values(mailing), mailing)
    form.validate()
    return render_template("mailings/_preflight.html", form=form, **make_preview(form, mailing))


@bp.route("/<int:mailing_id>/delete", methods=["GET", "POST"])
@login_required
def delete(mailing_id: int) -> str | Response:
    """Delete a mailing that has not run, after a confirmation."""
    mailing = get_own_mailing(mailing_id, to_change=request.method == "POST")
    if has_runs(mailing):
        return render_template("mailings/not_deletable.html", mailing=mailing)
    if request.method == "GET":
        return render_template("mailings/delete.html", mailing=mailing)
    removal = deletion.delete_mailing(mailing, clock.utcnow(), audit.current_actor())
    undo_url = url_for("mailings.undo", removal_id=removal.id)
    db.session.commit()
    flash_undo(_("Mailing deleted."), undo_url)
    return redirect(url_for("mailings.index"))


@bp.post("/undo/<big:removal_id>")
@login_required
def undo(removal_id: int) -> Response:
    """Restore a deleted mailing."""
    now = clock.utcnow()
    try:
        mailing = deletion.restore_mailing(current_user.id, removal_id, now, audit.current_actor())
    except MailingError as error:
        flash(explain(error), "danger")
        return redirect(url_for("mailings.index"))
    if mailing is None:
        abort(404)
    mailing_id = mailing.id
    commit_and_dispatch(mailing, now)
    flash(_("Mailing restored."), "success")
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


def make_preview(form: MailingForm, mailing: Mailing | None) -> dict[str, Any]:
    """Return the context of the summary, which the form fetches in any of its steps."""
    return make_preflight(form, mailing, is_last_step=request.form.get("step") == "check")


def make_form(now: datetime, values: dict[str, Any], mailing: Mailing | None = None) -> MailingForm:
    chosen = read_id(request.form.get("message") or values["message"])
    messages = queries.list_message_choices(current_user, chosen)
    return MailingForm(current_user, messages, now, mailing, data=values)


def is_save_request() -> bool:
    """Return whether the form was submitted by a button that saves."""
    is_other = client_picker.is_step(request.form) or "check" in request.form
    return request.method == "POST" and not is_other


def is_draft() -> bool:
    return "draft" in request.form


def render_form(form: MailingForm, mailing: Mailing | None) -> str:
    if "check" in request.form and not client_picker.is_step(request.form):
        form.validate()
    if request.form.get("check") == "test" and (message := find_chosen_message(form)):
        message_id, sender = message.id, find_sender(current_user, form.sender.data)
        start_writing()
        letters = list_test_letters(message_id, form.sender_name.data or "", form.values.variants)
        send_test_letters(current_user, letters, sender)
    picker = None
    is_picking = (
        client_picker.is_step(request.form) and request.form[client_picker.STEP_FIELD] != client_picker.STAY
    )
    if not form.is_fixed:
        picker = client_picker.make_picker(current_user, form.clients.data or Selection(), request.form)
        if is_picking:
            # A user who picks clients does not want to send to all of them.
            form.audience.data = Audience.SELECTED.value
    if picker and request.headers.get("HX-Target") == "picker-results":
        return render_template("mailings/_picker_results.html", form=form, picker=picker)
    # A picker step is not validated, so it has no summary.
    is_step = client_picker.is_step(request.form)
    current = choose_step(form, mailing, request.form.get("step", ""), is_picking=is_picking)
    context = None
    if not is_step:
        may_wait = request.method != "GET"  # the summary of a form that was just opened can be fetched later
        context = make_preflight(form, mailing, is_last_step=current == "check", may_wait=may_wait)
    return render_template(
        "mailings/form.html",
        form=form,
        mailing=mailing,
        picker=picker,
        steps=STEPS,
        current=current,
        **(context or {"preflight": None}),
        **make_hint_context(form),
    )


def make_hint_context(form: MailingForm) -> dict[str, Any]:
    """Return a suggestion for the start, if it can still be chosen."""
    good_hour = None if form.is_fixed else find_good_hour(current_user, clock.utcnow())
    if good_hour is None:
        return {"good_hour": None}
    start, end = (at.astimezone(get_user_zone()) for at in (good_hour.starts_at, good_hour.ends_at))
    return {
        "good_hour": good_hour,
        "good_weekday": format_date(start.date(), "EEEE"),
        "good_hours": f"{start:%H:%M}–{end:%H:%M}",
        "good_value": f"{start:%Y-%m-%dT%H:%M}",
        "format_share": format_share,
    }


def flash_unchanged_fields(form: MailingForm) -> None:
    """Show which changes were not saved because a run has started, possibly while the page was open."""
    if form.is_fixed and any(name in request.form for name in form.FIXED):
        flash(
            _(
                "This mailing has already been sent, so its message, recipients and start were not changed. "
                "Only the name, end, days and hours, and the setting for unclear emails were saved."
            ),
            "warning",
        )
    elif form.has_open_run and not form.is_fixed:
        flash(
            _(
                "Emails are being sent now. "
                "Changes to the message, sender and recipients apply from the next send."
            ),
            "info",
        )


def count_before_saving(form: MailingForm) -> Reach | None:
    """Return how many clients get the mailing; None if that is fixed, or if counting takes too long."""
    with suppress(TookTooLong), limit_time():
        return measure_reach(form)
    return None


def warn_about_recipients(reach: Reach | None) -> None:
    """Show a warning if some or all recipients will not get the letter."""
    if reach is None:
        return
    if not reach.audience:
        flash(_("No client matches now, so no one will get this email."), "warning")
    elif not reach.letters:
        flash(
            _("No one will get this email: all of its recipients have unsubscribed or are excluded."),
            "warning",
        )
    elif reach.suppressed:
        flash(
            ngettext(
                "%(num)d client has unsubscribed or is excluded and will not get the email.",
                "%(num)d clients have unsubscribed or are excluded and will not get the email.",
                reach.suppressed,
            ),
            "warning",
        )
