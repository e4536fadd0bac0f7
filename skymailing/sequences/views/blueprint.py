"""The sequences blueprint, shared by all view modules."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from wtforms import Field

from skymailing import hints
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Sequence
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.sequences.values import SequenceError
from skymailing.web.error_texts import explain

bp = Blueprint("sequences", __name__, url_prefix="/sequences")

ERRORS = (SequenceError, InvalidConditions, LimitReached)


def get_sequence(sequence_id: int) -> Sequence:
    """Return the signed-in user's sequence, or abort with 404."""
    return get_own(Sequence, sequence_id)


def go_to(sequence_id: int) -> ResponseReturnValue:
    """Return to the page of a sequence."""
    return redirect(url_for("sequences.show", sequence_id=sequence_id))


def try_action(action: Callable[[], object], message: str) -> bool:
    """Call a service and commit, or show its error; return whether it succeeded."""
    try:
        action()
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return False
    db.session.commit()
    hints.hint_sequences()
    if message:
        flash(message, "success")
    return True


def show_error(fields: dict[str, Field], form: object, error: UserError) -> None:
    """Roll back, and show the error next to its field, or above the form."""
    db.session.rollback()
    field = fields.get(getattr(error, "field", ""))
    if field is None:
        form.form_errors = [explain(error)]  # type: ignore[attr-defined]  # every form has them
    else:
        field.errors = [*field.errors, explain(error)]
