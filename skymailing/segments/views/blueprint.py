"""The segment blueprint, which all view modules share."""

from typing import Any

from flask import Blueprint
from flask_login import current_user

from skymailing.delivery.audience.conditions import read_conditions
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.segments import queries
from skymailing.segments.sentences import Sentences, describe

bp = Blueprint("segments", __name__, url_prefix="/segments")


@bp.app_template_global()
def describe_conditions(conditions: Any) -> Sentences | None:
    """Return a segment's JSON in words, for the pages of other features; None if it cannot be read."""
    try:
        node = read_conditions(conditions, ValueFormats.of(current_user).types)
    except InvalidConditions:
        return None
    return describe(node, queries.name_references(node, current_user.id))
