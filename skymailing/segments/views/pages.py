"""List, show and copy segments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clock import utcnow
from skymailing.db.pagination import BoundedCount, paginate
from skymailing.db.time_limit import TookTooLong, limit_time
from skymailing.delivery.audience.conditions import Node, read_conditions
from skymailing.delivery.audience.fields import InvalidConditions
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import db
from skymailing.models import Mailing, Segment
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.segments import queries, services
from skymailing.segments.sentences import describe
from skymailing.segments.views.blueprint import bp
from skymailing.web.error_texts import explain
from skymailing.web.user_turns import takes_turns

COUNTING_SECONDS = 2.0  # the list counts no further segments after this time


@dataclass(frozen=True)
class Row:
    """A segment in the list; `count` is None if the segment is broken, or if counting took too long."""

    segment: Segment
    count: BoundedCount | None
    problem: str
    mailings: list[Mailing]

    @property
    def is_slow(self) -> bool:
        return self.count is None and not self.problem


@bp.get("/")
@login_required
@takes_turns
def index() -> ResponseReturnValue:
    """List the user's segments with the number of clients and the mailings that use them."""
    page = paginate(
        queries.list_segments(current_user.id),
        queries.ORDER,
        request.args.get("cursor"),
        per_page=queries.PER_PAGE,
    )
    return render_template("segments/index.html", page=page, rows=list_rows(page.items, utcnow()))


def list_rows(segments: list[Segment], now: datetime) -> list[Row]:
    found = queries.count_segments(segments, Viewpoint.of(current_user, now), COUNTING_SECONDS)
    uses = queries.find_uses([segment.id for segment in segments])
    rows = []
    for segment in segments:
        result = found.get(segment.id)
        problem = explain(result) if isinstance(result, InvalidConditions) else ""
        count = result if isinstance(result, BoundedCount) else None
        rows.append(Row(segment, count, problem, uses.get(segment.id, [])))
    return rows


@bp.get("/<int:segment_id>")
@login_required
@takes_turns
def show(segment_id: int) -> ResponseReturnValue:
    """Show a segment: its conditions in words, its clients, and the mailings that use it."""
    segment = get_own(Segment, segment_id)
    viewpoint = Viewpoint.of(current_user, utcnow())
    saved = read_saved(segment, viewpoint)
    reach = find_reach(lambda: read_segment(segment.conditions, viewpoint), viewpoint)
    return render_template(
        "segments/show.html",
        segment=segment,
        sentences=describe(saved, queries.name_references(saved, segment.owner_id)) if saved else None,
        **reach,
        mailings=queries.find_mailings(segment.id),
    )


def find_reach(read: Callable[[], Node], viewpoint: Viewpoint) -> dict[str, Any]:
    """Return the context of `segments/_reach.html` for the conditions from `read`, or for its error."""
    context: dict[str, Any] = {"reach": None, "problem": "", "wrong_number": None, "is_slow": False}
    try:
        with limit_time():
            context["reach"] = queries.measure_reach(read(), viewpoint)
    except InvalidConditions as error:
        context |= {"problem": explain(error), "wrong_number": error.values.get("number")}
    except TookTooLong:
        context["is_slow"] = True
    return context


def read_saved(segment: Segment, viewpoint: Viewpoint) -> Node | None:
    """Return a segment's conditions, which may refer to deleted items; None if they are no longer valid."""
    try:
        return read_conditions(segment.conditions, viewpoint.formats.types)
    except InvalidConditions:
        return None


@bp.post("/<int:segment_id>/duplicate")
@login_required
def duplicate(segment_id: int) -> ResponseReturnValue:
    """Copy a segment and open the copy in the editor."""
    try:
        copy = services.duplicate_segment(get_own(Segment, segment_id))
    except LimitReached as error:
        db.session.rollback()
        flash(explain(error), "danger")
        return redirect(url_for("segments.show", segment_id=segment_id))
    db.session.commit()
    flash(_("This is a copy. Edit it as you like."), "success")
    return redirect(url_for("segments.edit", segment_id=copy.id))
