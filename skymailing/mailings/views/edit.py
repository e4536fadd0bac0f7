"""Pages that make, change and delete a mailing."""

from datetime import datetime, timedelta
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit, clock
from skymailing.extensions import db
from skymailing.mailings import deletion, queries, scheduling, services, tasks
from skymailing.mailings.duplicate_submission import find_twin
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.preflight import STEPS, review, step_of
from skymailing.mailings.selection import Selection, read_chosen, save_chosen
from skymailing.mailings.views import client_picker
from skymailing.mailings.views.actions import send_test_letter
from skymailing.mailings.views.blueprint import bp, get_own_mailing
from skymailing.models import EVERY_DAY, Audience, Mailing, MailingState
from skymailing.undo import CannotRestore
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import read_id

FIRST_WINDOW = timedelta(days=7)


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> str | Response:
    """Make a mailing; it starts by itself unless it is kept as a draft."""
    now = clock.utcnow()
    form = make_form(now, first_values(now))
    if not is_to_be_saved(form):
        return render_form(form, None)
    twin_id = find_twin(current_user, form, is_draft="draft" in request.form)
    if twin_id is not None:
        return redirect(url_for("mailings.show", mailing_id=twin_id))
    mailing = Mailing(owner_id=current_user.id, state=MailingState.DRAFT)
    save(form, mailing)
    if "draft" not in request.form:
        services.activate_mailing(mailing, now)
    warn_about(mailing)
    mailing_id = commit_and_announce(mailing, now)
    flash(_("The draft is saved.") if "draft" in request.form else _("The mailing is set up."), "success")
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


@bp.route("/<int:mailing_id>/edit", methods=["GET", "POST"])
@login_required
def edit(mailing_id: int) -> str | Response:
    """Change what has not started of a mailing: a run keeps the content that it began with."""
    mailing = get_own_mailing(mailing_id, to_change=request.method == "POST")
    if not can_be_edited(mailing):
        return render_template("mailings/not_editable.html", mailing=mailing)
    now = clock.utcnow()
    form = make_form(now, present_values(mailing), mailing)
    if not is_to_be_saved(form):
        return render_form(form, mailing)
    course = mailing.starts_at, mailing.periodicity
    save(form, mailing)
    settle(mailing, now, is_new_course=course != (mailing.starts_at, mailing.periodicity))
    warn_about(mailing)
    commit_and_announce(mailing, now)
    flash(_("The changes are saved."), "success")
    tell_what_stays(form)
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


@bp.post("/preview")
@login_required
def preview() -> str:
    """Show what the form of a new mailing would come to; nothing is saved."""
    form = make_form(clock.utcnow(), {"message": None})
    form.validate()
    return render_template("mailings/_review.html", form=form, **review(form, None))


@bp.post("/<int:mailing_id>/preview")
@login_required
def preview_change(mailing_id: int) -> str:
    """Show what the form of a mailing that is changed would come to; nothing is saved."""
    mailing = get_own_mailing(mailing_id)
    form = make_form(clock.utcnow(), present_values(mailing), mailing)
    form.validate()
    return render_template("mailings/_review.html", form=form, **review(form, mailing))


@bp.route("/<int:mailing_id>/delete", methods=["GET", "POST"])
@login_required
def delete(mailing_id: int) -> str | Response:
    """Delete a mailing of which nothing was ever sent; asks first."""
    mailing = get_own_mailing(mailing_id, to_change=request.method == "POST")
    if queries.has_runs(mailing):
        return render_template("mailings/not_deletable.html", mailing=mailing)
    if request.method == "GET":
        return render_template("mailings/delete.html", mailing=mailing)
    kept = deletion.delete_mailing(mailing, clock.utcnow(), audit.current_actor())
    undo_url = url_for("mailings.undo", removal_id=kept.id)
    db.session.commit()
    flash_undo(_("The mailing is deleted."), undo_url)
    return redirect(url_for("mailings.index"))


@bp.post("/undo/<big:removal_id>")
@login_required
def undo(removal_id: int) -> Response:
    """Bring a deleted mailing back."""
    now = clock.utcnow()
    try:
        mailing = deletion.restore_mailing(current_user.id, removal_id, now, audit.current_actor())
    except CannotRestore as error:
        flash(explain(error), "danger")
        return redirect(url_for("mailings.index"))
    if mailing is None:
        abort(404)
    mailing_id = commit_and_announce(mailing, now)
    flash(_("The mailing is back."), "success")
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


def can_be_edited(mailing: Mailing) -> bool:
    """Whether anything of the mailing may change: not when it was cancelled or a manager has stopped it."""
    return not mailing.is_disabled and mailing.state is not MailingState.CANCELLED


def make_form(now: datetime, values: dict[str, Any], mailing: Mailing | None = None) -> MailingForm:
    chosen = read_id(request.form.get("message") or values["message"])
    messages = queries.offered_messages(current_user, chosen)
    return MailingForm(current_user, messages, now, mailing, data=values)


def first_values(now: datetime) -> dict[str, Any]:
    """Return what the form of a new mailing is opened with: a week to send in, to the minute."""
    return {
        "sender_name": current_user.name,
        "message": request.args.get("message"),
        "ends_at": (now + FIRST_WINDOW).replace(second=0, microsecond=0),
    }


def present_values(mailing: Mailing) -> dict[str, Any]:
    return {
        "name": mailing.name,
        "message": mailing.message_id,
        "sender_name": mailing.sender_name,
        "audience": mailing.audience.value,
        "clients": read_chosen(mailing),
        "starts_at": mailing.starts_at,
        "ends_at": mailing.ends_at,
        "periodicity": mailing.periodicity.value,
        "weekdays": [] if mailing.weekdays == EVERY_DAY else list(mailing.weekdays),
        "opens_at": mailing.opens_at,
        "closes_at": mailing.closes_at,
        "on_late": mailing.on_late.value,
        "on_unknown": mailing.on_unknown.value,
    }


def is_to_be_saved(form: MailingForm) -> bool:
    """Whether the form was sent by a saving button and nothing in it is wrong."""
    if request.method != "POST" or client_picker.is_step(request.form):
        return False
    return form.validate() and "check" not in request.form


def render_form(form: MailingForm, mailing: Mailing | None) -> str:
    step = None
    is_picking = (
        client_picker.is_step(request.form) and request.form[client_picker.STEP_FIELD] != client_picker.STAY
    )
    if not form.is_fixed:
        step = client_picker.make_picker(current_user, form.clients.data or Selection(), request.form)
        if is_picking:
            # Whoever picks clients does not want to write to all of them.
            form.audience.data = Audience.SELECTED.value
    if step and request.headers.get("HX-Target") == "picker-results":
        return render_template("mailings/_picker_results.html", form=form, picker=step)
    # A step of the picker is not validated, so that it cannot be told what it would come to.
    shown = None if client_picker.is_step(request.form) else review(form, mailing)
    if request.form.get("check") == "test" and shown and (message := shown["review"].message):
        send_test_letter(current_user, message.id)
    return render_template(
        "mailings/form.html",
        form=form,
        mailing=mailing,
        picker=step,
        steps=STEPS,
        current=step_of(form, mailing, request.form.get("step", ""), is_picking=is_picking),
        **(shown or {"review": None}),
    )


def save(form: MailingForm, mailing: Mailing) -> None:
    form.fill(mailing)
    db.session.add(mailing)
    db.session.flush()
    if not form.is_fixed:
        selected = mailing.audience is Audience.SELECTED
        save_chosen(mailing, form.clients.data if selected else Selection())


def settle(mailing: Mailing, now: datetime, *, is_new_course: bool) -> None:
    """Let new times count; a draft stays one only when it was sent by the draft's button."""
    if mailing.state is not MailingState.DRAFT:
        scheduling.reschedule(mailing, now, is_new_course=is_new_course)
    elif "draft" not in request.form:
        services.activate_mailing(mailing, now)


def tell_what_stays(form: MailingForm) -> None:
    """Say what was not changed, as a run has begun: perhaps while the page was still open."""
    if form.is_fixed and any(name in request.form for name in form.FIXED):
        flash(
            _(
                "This mailing has run meanwhile: its message, its clients and its start stay as they were. "
                "Only name, end, days and hours, and what happens to unclear letters were changed."
            ),
            "warning",
        )
    elif form.is_under_way and not form.is_fixed:
        flash(
            _("A run is under way; it keeps the text, the sender and the clients that it started with."),
            "info",
        )


def warn_about(mailing: Mailing) -> None:
    """Say when some of the audience, or all of it, will get nothing."""
    db.session.flush()
    audience, suppressed = services.audience_size(mailing), queries.count_suppressed(mailing)
    if not audience:
        flash(_("You have no clients yet: nobody would get this letter."), "warning")
    elif suppressed == audience:
        flash(
            _("Nobody will get this letter: every client of it has unsubscribed or is never mailed."),
            "warning",
        )
    elif suppressed:
        flash(
            ngettext(
                "%(num)d client has unsubscribed or is never mailed, and will get no letter.",
                "%(num)d clients have unsubscribed or are never mailed, and will get no letter.",
                suppressed,
            ),
            "warning",
        )


def commit_and_announce(mailing: Mailing, now: datetime) -> int:
    mailing_id = mailing.id
    db.session.commit()
    tasks.announce(mailing, now)
    return mailing_id
