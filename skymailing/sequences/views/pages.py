"""List, show, create and edit sequences, and start, pause, archive and delete them."""

from collections.abc import Iterable
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.mailings.progress_text import describe_limit
from skymailing.mailings.state_text import explain_state
from skymailing.models import Sequence, SequenceState, Trigger
from skymailing.quotas.letters import find_reached
from skymailing.sequences import queries, services, unknowns
from skymailing.sequences.conditions import describe_conditions
from skymailing.sequences.forms import SequenceForm, describe_sequence, suggest_start
from skymailing.sequences.ready_made import READY_MADE, ReadyMade, add_letters, find_ready_made
from skymailing.sequences.steps import list_current
from skymailing.sequences.values import is_complete
from skymailing.sequences.views.blueprint import ERRORS, bp, get_sequence, go_to, show_error, try_action
from skymailing.sequences.words import describe_start, describe_wait

FIELDS = {"sender_id": "sender", "topic_id": "topic", "trigger": "start", "date_offset": "offset"}
# The hint if the user has no object that a ready-made sequence could start with.
MISSING = {
    Trigger.FORM: _l("You have no sign-up form yet. Add one, then choose it here."),
    Trigger.DATE: _l("No field of your clients contains dates yet. Import them, then choose the field here."),
    Trigger.SEGMENT: _l("You have no segment yet. Add one, then choose it here."),
}


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the user's sequences, each with the number of clients in it."""
    archived = request.args.get("archived") == "1"
    found = queries.list_sequences(current_user.id, archived=archived)
    return render_template(
        "sequences/index.html",
        sequences=found,
        waiting=queries.count_waiting([sequence.id for sequence in found]),
        describe_start=describe_start,
        archived=archived,
        has_archived=bool(queries.list_sequences(current_user.id, archived=True)),
        ready_made=READY_MADE,
    )


@bp.get("/<int:sequence_id>")
@login_required
def show(sequence_id: int) -> ResponseReturnValue:
    """Show a sequence from its start to its last email, with counts."""
    sequence = get_sequence(sequence_id)
    steps = list_current(sequence)
    removed = [step for step in services.list_all_steps(sequence) if step.removed_at is not None]
    counts = queries.count_steps(sequence, [*steps, *removed])
    return render_template(
        "sequences/show.html",
        sequence=sequence,
        steps=steps,
        removed=removed,
        step_counts=counts,
        limit=explain_limit(sequence, counts.values()),
        waiting=queries.count_waiting([sequence.id])[sequence.id],
        start=describe_start(sequence),
        is_complete=is_complete(sequence),
        describe_wait=describe_wait,
        exit_sentences=describe_conditions(sequence.exit_conditions, current_user),
        step_sentences={step.id: describe_conditions(step.conditions, current_user) for step in steps},
        stopped=services.find_stopped(sequence),
        restored=services.find_restored(sequence),
        uncertain=queries.count_uncertain(sequence),
        explain_mailing=explain_state,
        unknowns=unknowns.count_waiting(sequence),
    )


def explain_limit(sequence: Sequence, counts: Iterable[queries.StepCounts]) -> str:
    """Return why clients who are due do not get their email yet; empty if no limit is reached."""
    now = utcnow()
    is_due = any(each.next_due_at is not None and each.next_due_at <= now for each in counts)
    reached = find_reached(sequence.owner, now) if is_due and sequence.state is SequenceState.ACTIVE else None
    return "" if reached is None else describe_limit(reached, now)


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Choose a ready-made sequence, then create it."""
    ready = find_ready_made(request.args.get("kind", ""))
    if ready is None:
        return render_template("sequences/new.html", ready_made=READY_MADE)
    form = SequenceForm(data={"name": str(ready.name), **ready.settings}).offer(current_user, None)
    if not form.is_submitted():
        form.start.data = suggest_start(dict(form.start.choices or {}), ready.trigger)
    if form.validate_on_submit() and (sequence := create(form, ready)):
        flash(_("Sequence created. Review its emails, then start it."), "success")
        return go_to(sequence.id)
    missing = MISSING.get(ready.trigger) if form.start.data == Trigger.MANUAL.value else None
    return render_template("sequences/form.html", form=form, sequence=None, waiting=0, missing=missing)


def create(form: SequenceForm, ready: ReadyMade) -> Sequence | None:
    """Create a sequence with the messages of a ready-made one; return None to show the form again."""
    try:
        values = form.read_values(current_user, None)
        sequence = services.create_sequence(current_user, values, utcnow())
        add_letters(sequence, ready, utcnow())
    except ERRORS as error:
        show_error(name_fields(form), form, error)
        return None
    db.session.commit()
    return sequence


@bp.route("/<int:sequence_id>/edit", methods=["GET", "POST"])
@login_required
def edit(sequence_id: int) -> ResponseReturnValue:
    """Change the settings of a sequence; the page explains the effect on clients in it."""
    sequence = get_sequence(sequence_id)
    form = SequenceForm(data=describe_sequence(sequence)).offer(current_user, sequence)
    if form.validate_on_submit():
        expected = request.form.get("version", type=int)
        try:
            services.update_sequence(sequence, form.read_values(current_user, sequence), utcnow(), expected)
        except ERRORS as error:
            show_error(name_fields(form), form, error)
            sequence = get_sequence(sequence_id)
        else:
            db.session.commit()
            flash(_("Sequence saved."), "success")
            return go_to(sequence_id)
    waiting = queries.count_waiting([sequence.id])[sequence.id]
    return render_template("sequences/form.html", form=form, sequence=sequence, waiting=waiting)


def name_fields(form: SequenceForm) -> dict[str, Any]:
    return {field.name: field for field in form} | {key: form[name] for key, name in FIELDS.items()}


@bp.post("/<int:sequence_id>/start")
@login_required
def start(sequence_id: int) -> ResponseReturnValue:
    """Start or resume a sequence; after a restore, with or without the emails that may have been sent."""
    sequence, now = get_sequence(sequence_id), utcnow()
    sends_uncertain = request.form.get("uncertain") == "send"
    is_new = sequence.state is SequenceState.DRAFT
    text = _("The sequence is running.") if is_new else _("The sequence was resumed.")
    try_action(
        lambda: services.start_sequence(sequence, now, current_actor(), sends_uncertain=sends_uncertain),
        text,
    )
    return go_to(sequence_id)


@bp.post("/<int:sequence_id>/pause")
@login_required
def pause(sequence_id: int) -> ResponseReturnValue:
    """Pause a sequence."""
    sequence = get_sequence(sequence_id)
    text = _("The sequence is paused: no emails are sent until you resume it.")
    try_action(lambda: services.pause_sequence(sequence), text)
    return go_to(sequence_id)


@bp.post("/<int:sequence_id>/unknown")
@login_required
def decide(sequence_id: int) -> ResponseReturnValue:
    """Send again the emails that may have arrived, or leave them."""
    sequence, now = get_sequence(sequence_id), utcnow()
    if request.form.get("decision") == "resend":
        try_action(lambda: unknowns.resend(sequence, now), _("The emails will be sent again."))
    else:
        try_action(lambda: unknowns.leave(sequence, now), _("The emails will not be sent again."))
    return go_to(sequence_id)


@bp.route("/<int:sequence_id>/archive", methods=["GET", "POST"])
@login_required
def archive(sequence_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then end a sequence for everyone."""
    sequence = get_sequence(sequence_id)
    if request.method == "POST":
        try_action(lambda: services.archive_sequence(sequence, utcnow()), _("The sequence is archived."))
        return go_to(sequence_id)
    waiting = queries.count_waiting([sequence.id])[sequence.id]
    return render_template("sequences/archive.html", sequence=sequence, waiting=waiting)


@bp.route("/<int:sequence_id>/delete", methods=["GET", "POST"])
@login_required
def delete(sequence_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a sequence that no client has entered."""
    sequence = get_sequence(sequence_id)
    if not services.can_be_deleted(sequence):
        abort(409)
    if request.method == "POST":
        if try_action(lambda: services.delete_sequence(sequence, current_actor()), _("Sequence deleted.")):
            return redirect(url_for("sequences.index"))
        return go_to(sequence_id)
    return render_template("sequences/delete.html", sequence=sequence)
