"""List the clients of a sequence, add clients, and pause, skip or end the sequence for a client."""

from collections.abc import Callable

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients.places import name_steps
from skymailing.clients.queries import find_by_key
from skymailing.clients.subjects import fill_for_client
from skymailing.clock import utcnow
from skymailing.db.pagination import paginate
from skymailing.email_addresses import address_key
from skymailing.models import Client, EnrolmentState
from skymailing.security import get_own
from skymailing.sequences import people, queries
from skymailing.sequences.values import SequenceError
from skymailing.sequences.views.blueprint import bp, get_sequence, try_action
from skymailing.sequences.words import describe_wait
from skymailing.web.ids import parse_id


@bp.get("/<int:sequence_id>/people")
@login_required
def list_people(sequence_id: int) -> ResponseReturnValue:
    """List the clients of a sequence, newest first."""
    sequence = get_sequence(sequence_id)
    chosen = request.args.get("state", "")
    state = EnrolmentState(chosen) if chosen in set(EnrolmentState) else None
    page = paginate(
        queries.select_people(sequence.id, state),
        queries.ORDER,
        request.args.get("cursor"),
        per_page=queries.PER_PAGE,
    )
    return render_template(
        "sequences/people.html",
        sequence=sequence,
        page=page,
        fill_for_client=fill_for_client,
        subjects=name_steps({row.Enrolment.step_id for row in page}),
        states=EnrolmentState,
        state=state,
        describe_wait=describe_wait,
    )


@bp.post("/<int:sequence_id>/people")
@login_required
def add_person(sequence_id: int) -> ResponseReturnValue:
    """Add a client by address, from the beginning."""
    sequence, now = get_sequence(sequence_id), utcnow()
    email = request.form.get("email", "").replace("\0", "").strip()

    def add() -> None:
        client = find_by_key(current_user.id, address_key(email))
        if client is None:
            raise SequenceError("sequence_client_missing")
        people.add_client(sequence, client, now, may_repeat=True)

    try_action(add, _("Client added to the sequence."))
    return redirect(url_for("sequences.list_people", sequence_id=sequence_id))


@bp.post("/add-client/<big:client_id>")
@login_required
def add_from_client(client_id: int) -> ResponseReturnValue:
    """Add a client from the client's page."""
    client, now = get_own(Client, client_id), utcnow()
    sequence = queries.find_sequence(current_user.id, request.form.get("sequence", type=parse_id) or 0)

    def add() -> None:
        if sequence is None:
            raise SequenceError("sequence_deleted")
        people.add_client(sequence, client, now, may_repeat=True)

    try_action(add, _("Client added to the sequence."))
    return redirect(url_for("clients.show", client_id=client_id, _anchor="sequences"))


@bp.post("/places/<big:enrolment_id>")
@login_required
def change_place(enrolment_id: int) -> ResponseReturnValue:
    """Pause, resume, remove or restart a client, skip a step, or send the next letter now."""
    enrolment = queries.find_enrolment(current_user.id, enrolment_id) or abort(404)
    client_id, now = enrolment.client_id, utcnow()

    actions: dict[str, tuple[Callable[[], object], str]] = {
        "pause": (lambda: people.pause_client(enrolment), _("The sequence is paused for this client.")),
        "resume": (lambda: people.resume_client(enrolment), _("The sequence was resumed for this client.")),
        "now": (lambda: people.skip_wait(enrolment, now), _("The next email will be sent now.")),
        "skip": (lambda: people.skip_step(enrolment, now), _("This client skips the email.")),
        "remove": (lambda: people.remove_client(enrolment, now), _("The client has left the sequence.")),
        "restart": (
            lambda: people.restart_client(enrolment, now),
            _("The sequence starts again for this client."),
        ),
    }
    if (action := request.form.get("action", "")) not in actions:
        abort(400)
    try_action(*actions[action])
    return redirect(url_for("clients.show", client_id=client_id, _anchor="sequences"))
