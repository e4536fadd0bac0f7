"""Add, edit, move and remove the emails of a sequence."""

from flask import abort, flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import SequenceStep, WaitUnit
from skymailing.sequences import queries, services, steps
from skymailing.sequences.forms import StepForm, describe_step
from skymailing.sequences.views.blueprint import ERRORS, bp, get_sequence, go_to, show_error, try_action
from skymailing.web.ids import parse_id


def get_step(step_id: int) -> SequenceStep:
    """Return a step of the user's sequences that has not been removed, or abort with 404."""
    return queries.find_step(current_user.id, step_id) or abort(404)


@bp.route("/<int:sequence_id>/steps/new", methods=["GET", "POST"])
@login_required
def new_step(sequence_id: int) -> ResponseReturnValue:
    """Add an email at the end, or before another one."""
    sequence = get_sequence(sequence_id)
    before_id = request.args.get("before", type=parse_id)
    before = get_step(before_id) if before_id else None
    if before is not None and before.sequence_id != sequence.id:
        abort(404)
    is_first = not steps.list_current(sequence)
    data = {"wait": 0 if is_first else 3, "wait_unit": WaitUnit.DAYS.value}
    form = StepForm(data=data).offer(current_user, None)
    if form.validate_on_submit():
        try:
            services.require_changeable(sequence)
            steps.add_step(sequence, form.read_values(current_user, None), utcnow(), before)
        except ERRORS as error:
            show_error({field.name: field for field in form}, form, error)
        else:
            db.session.commit()
            flash(_("Email added."), "success")
            return go_to(sequence_id)
    counts = queries.StepCounts()
    return render_template(
        "sequences/step.html", form=form, sequence=get_sequence(sequence_id), step=None, counts=counts
    )


@bp.route("/steps/<int:step_id>/edit", methods=["GET", "POST"])
@login_required
def edit_step(step_id: int) -> ResponseReturnValue:
    """Change an email; the page explains the effect on clients who are waiting for it."""
    step = get_step(step_id)
    sequence = step.sequence
    form = StepForm(data=describe_step(step)).offer(current_user, step)
    is_changed = False
    if form.validate_on_submit():
        expected = request.form.get("version", type=parse_id)
        try:
            services.require_changeable(sequence)
            steps.change_step(step, form.read_values(current_user, step), utcnow(), expected)
        except ERRORS as error:
            show_error({field.name: field for field in form}, form, error)
            is_changed = error.code == "sequence_step_changed"
            step = get_step(step_id)
            sequence = step.sequence
        else:
            db.session.commit()
            flash(_("Email saved."), "success")
            return go_to(sequence.id)
    counts = queries.count_steps(sequence, [step])[step.id]
    # After a conflict, saving again replaces the other version; after other errors, the version is checked
    # again.
    sent = request.form.get("version", type=parse_id)
    return render_template(
        "sequences/step.html",
        form=form,
        sequence=sequence,
        step=step,
        counts=counts,
        version=sent if sent and not is_changed else step.version,
        is_changed=is_changed,
    )


@bp.post("/steps/<int:step_id>/up")
@login_required
def move_step(step_id: int) -> ResponseReturnValue:
    """Move an email up."""
    step = get_step(step_id)
    sequence = step.sequence

    def move() -> None:
        services.require_changeable(sequence)
        steps.move_step_up(step)

    try_action(move, "")
    return go_to(sequence.id)


@bp.route("/steps/<int:step_id>/remove", methods=["GET", "POST"])
@login_required
def remove_step(step_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then remove an email; the page explains the effect on clients who are waiting."""
    step = get_step(step_id)
    sequence = step.sequence
    if request.method == "POST":

        def remove() -> None:
            services.require_changeable(sequence)
            steps.remove_step(step, utcnow())

        try_action(remove, _("Email removed."))
        return go_to(sequence.id)
    counts = queries.count_steps(sequence, [step])[step.id]
    return render_template("sequences/remove.html", sequence=sequence, step=step, counts=counts)
