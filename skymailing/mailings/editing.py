"""Pages that make, change and delete a mailing."""

from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from skymailing import audit, clock
from skymailing.errors import SkyMailingError
from skymailing.extensions import db
from skymailing.mailings import dispatch, picker, queries, services
from skymailing.mailings.blueprint import bp, get_own_mailing
from skymailing.mailings.forms import MailingForm, read_id
from skymailing.mailings.selection import Selection, read_chosen, save_chosen
from skymailing.mailings.twins import find_twin
from skymailing.models import Audience, AuditAction, Mailing, MailingState


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> str | Response:
    """Make a mailing; it starts by itself unless it is kept as a draft."""
    now = clock.utcnow()
    form = make_form(now, {"sender_name": current_user.name, "message": request.args.get("message")})
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
    """Change a mailing that has not started; afterwards its content is a snapshot."""
    mailing = get_own_mailing(mailing_id, to_change=request.method == "POST")
    if not can_be_edited(mailing):
        return render_template("mailings/not_editable.html", mailing=mailing)
    now = clock.utcnow()
    form = make_form(now, present_values(mailing))
    if not is_to_be_saved(form):
        return render_form(form, mailing)
    save(form, mailing)
    try:
        settle(mailing, now)
    except SkyMailingError as error:
        db.session.rollback()
        form.form_errors.append(str(error))
        return render_form(form, mailing)
    warn_about(mailing)
    commit_and_announce(mailing, now)
    flash(_("The changes are saved."), "success")
    return redirect(url_for("mailings.show", mailing_id=mailing_id))


@bp.route("/<int:mailing_id>/delete", methods=["GET", "POST"])
@login_required
def delete(mailing_id: int) -> str | Response:
    """Delete a mailing of which nothing was ever sent; asks first."""
    mailing = get_own_mailing(mailing_id, to_change=request.method == "POST")
    if queries.has_runs(mailing):
        return render_template("mailings/not_deletable.html", mailing=mailing)
    if request.method == "GET":
        return render_template("mailings/delete.html", mailing=mailing)
    # Its start job, if any, finds no mailing and ends quietly.
    audit.record(AuditAction.MAILING_DELETED, audit.present_actor(), mailing)
    db.session.delete(mailing)
    db.session.commit()
    flash(_("The mailing is deleted."), "success")
    return redirect(url_for("mailings.index"))


def can_be_edited(mailing: Mailing) -> bool:
    """Whether nothing of the mailing has been fixed yet, and no manager has stopped it."""
    if mailing.is_disabled:
        return False
    if mailing.state is MailingState.PAUSED:
        return not queries.has_runs(mailing)
    return mailing.state in {MailingState.DRAFT, MailingState.SCHEDULED}


def make_form(now: datetime, values: dict[str, Any]) -> MailingForm:
    chosen = read_id(request.form.get("message") or values["message"])
    messages = queries.offered_messages(current_user, chosen)
    return MailingForm(current_user, messages, now, data=values)


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
        "on_unknown": mailing.on_unknown.value,
    }


def is_to_be_saved(form: MailingForm) -> bool:
    """Whether the form was sent by a saving button and nothing in it is wrong."""
    return request.method == "POST" and not picker.is_step(request.form) and form.validate()


def render_form(form: MailingForm, mailing: Mailing | None) -> str:
    step = picker.make_picker(current_user, form.clients.data or Selection(), request.form)
    if request.form.get(picker.STEP_FIELD, picker.STAY) != picker.STAY:
        # Whoever picks clients does not want to write to all of them.
        form.audience.data = Audience.SELECTED.value
    return render_template("mailings/form.html", form=form, mailing=mailing, picker=step)


def save(form: MailingForm, mailing: Mailing) -> None:
    form.fill(mailing)
    db.session.add(mailing)
    db.session.flush()
    selected = mailing.audience is Audience.SELECTED
    save_chosen(mailing, form.clients.data if selected else Selection())


def settle(mailing: Mailing, now: datetime) -> None:
    """Let new times count; a draft stays one only when it was sent by the draft's button."""
    if mailing.state is MailingState.DRAFT and "draft" not in request.form:
        services.activate_mailing(mailing, now)
    elif mailing.state is MailingState.PAUSED:
        mailing.next_run_at = mailing.starts_at  # for when it is resumed
    else:
        services.reschedule(mailing, now)


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
    dispatch.announce(mailing, now)
    return mailing_id
