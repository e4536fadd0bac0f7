"""Make segments of active, quiet or new clients."""

from flask_babel import gettext as _

from skymailing.delivery.audience.conditions import read_conditions
from skymailing.delivery.audience.fields import Activity
from skymailing.models import Segment
from skymailing.segments.services import find_or_save_segment


def make_segment(owner_id: int, activity: Activity) -> Segment:
    """Return the segment of active, quiet or new clients; add it if it does not exist.

    Raises LimitReached.
    """
    names = {
        Activity.ACTIVE: _("Active clients"),
        Activity.QUIET: _("Quiet clients"),
        Activity.NEW: _("New clients"),
    }
    node = read_conditions({"field": "activity", "op": "is", "value": activity.value}, {})
    return find_or_save_segment(owner_id, names[activity], node)
