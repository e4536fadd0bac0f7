"""Make segments of the clients who clicked in a mailing, and of those who received it but did not click."""

from enum import StrEnum

from flask_babel import gettext as _

from skymailing.delivery.audience.conditions import read_conditions
from skymailing.models import Mailing, Segment
from skymailing.segments.services import find_or_save_segment


class Clicked(StrEnum):
    """Which recipients the segment contains."""

    YES = "yes"
    NO = "no"  # received the mailing, but did not click


def make_segment(mailing: Mailing, which: Clicked) -> Segment:
    """Return the segment of those who clicked in a mailing, or did not; raises LimitReached.

    Members are computed, so people who click later join or leave it automatically. If the owner already has a
    segment with these conditions, return that one.
    """
    about = {"field": "mailing", "value": mailing.id}
    if which is Clicked.YES:
        name, leaves = _("Clicked in “%(name)s”", name=mailing.name), [about | {"op": "clicked"}]
    else:
        name = _("Did not click in “%(name)s”", name=mailing.name)
        leaves = [about | {"op": "received"}, about | {"op": "not_clicked"}]
    node = read_conditions({"all": leaves}, {})
    return find_or_save_segment(mailing.owner_id, name, node)
