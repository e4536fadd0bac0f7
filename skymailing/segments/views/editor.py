"""The editor of a segment, with a live preview of the clients in it."""

from collections.abc import Mapping
from typing import Any

from flask import flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients.activity import counts_clicks
from skymailing.clock import utcnow
from skymailing.db.engine import start_writing, starts_reading
from skymailing.delivery.audience.conditions import Node, list_leaves
from skymailing.delivery.audience.fields import (
    ATTRIBUTE_PREFIX,
    FIELDS,
    Activity,
    InvalidConditions,
    Kind,
    State,
    find_kind,
)
from skymailing.delivery.audience.segments import read_segment
from skymailing.delivery.audience.viewpoint import Viewpoint
from skymailing.extensions import db
from skymailing.models import AttributeType, Segment
from skymailing.purchases.queries import has_purchases
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.segments import queries, services
from skymailing.segments.forms import SegmentForm, parse_conditions, write_json
from skymailing.segments.sentences import describe
from skymailing.segments.views.blueprint import bp
from skymailing.segments.views.pages import find_reach, read_saved
from skymailing.segments.words import COMPARISONS, name_activity, name_field, name_state
from skymailing.topics.queries import list_topics
from skymailing.web.error_texts import explain
from skymailing.web.ids import parse_big_id
from skymailing.web.user_turns import takes_turns

OPTIONAL = ("activity", "purchase")


@bp.route("/new", methods=["GET", "POST"])
@login_required
@starts_reading
def new() -> ResponseReturnValue:
    """Build a new segment."""
    form = SegmentForm(current_user, utcnow())
    if form.validate_on_submit() and form.node:
        name, node = form.name.data or "", form.node
        start_writing()
        segment = Segment(owner_id=current_user.id)
        try:
            services.save_segment(segment, name, node, None)
        except LimitReached as error:
            form.form_errors = [explain(error)]
        else:
            db.session.commit()
            flash(_("Segment saved."), "success")
            return redirect(url_for("segments.show", segment_id=segment.id))
    return show_editor(form)


@bp.route("/<int:segment_id>/edit", methods=["GET", "POST"])
@login_required
@starts_reading
def edit(segment_id: int) -> ResponseReturnValue:
    """Change a segment; runs that have started keep the old conditions."""
    segment = get_own(Segment, segment_id)
    fields = {"name": segment.name, "conditions": write_json(segment.conditions)}
    form = SegmentForm(current_user, utcnow(), data=fields)
    is_changed = False
    if form.validate_on_submit() and form.node:
        name, node = form.name.data or "", form.node
        start_writing()
        segment = get_own(Segment, segment_id)  # another tab may have deleted it
        try:
            services.save_segment(segment, name, node, request.form.get("version", type=parse_big_id))
        except services.SegmentChanged:
            is_changed = True
        else:
            db.session.commit()
            flash(_("Segment saved."), "success")
            return redirect(url_for("segments.show", segment_id=segment.id))
    elif request.method == "GET":
        mark_broken(form, segment)
    return show_editor(form, segment, is_changed=is_changed), 409 if is_changed else 200


def mark_broken(form: SegmentForm, segment: Segment) -> None:
    """Show the reason why a saved segment can no longer be evaluated."""
    try:
        read_segment(segment.conditions, form.viewpoint)
    except InvalidConditions as error:
        form.mark(error)
        form.conditions.errors = [explain(error)]


def show_editor(form: SegmentForm, segment: Segment | None = None, *, is_changed: bool = False) -> str:
    saved = read_saved(segment, form.viewpoint) if segment else None
    mailings = queries.name_mailings(saved, current_user.id) if saved else {}
    return render_template(
        "segments/form.html",
        form=form,
        segment=segment,
        is_changed=is_changed,
        sentences=describe(saved, queries.name_references(saved, current_user.id)) if saved else None,
        vocabulary=make_vocabulary(form.viewpoint, mailings, optional=list_optional_fields(saved)),
    )


def list_optional_fields(saved: Node | None) -> list[str]:
    """Return the fields to offer only if the owner has such data, or if the segment uses them."""
    used = {leaf.kind for leaf in list_leaves(saved)} if saved else set()
    is_offered = {
        "purchase": Kind.PURCHASE in used or has_purchases(current_user.id),
        "activity": Kind.ACTIVITY in used or counts_clicks(current_user.id),
    }
    return [field for field in OPTIONAL if is_offered[field]]


def make_vocabulary(viewpoint: Viewpoint, mailings: dict[int, str], *, optional: list[str]) -> dict[str, Any]:
    """Return the options of the editor: fields, comparisons, and the owner's tags, topics and mailings.

    `mailings` are offered in addition to the newest ones.
    """
    return {
        "groups": list_fields(viewpoint.formats.types, optional=optional),
        "comparisons": {
            kind: [{"op": op, "label": str(label), "input": input} for op, (label, input) in known.items()]
            for kind, known in COMPARISONS.items()
        },
        "tags": queries.list_tag_names(current_user.id),
        "topics": [topic.name for topic in list_topics(current_user.id)],
        "mailings": list((dict(queries.list_newest_mailings(current_user.id)) | mailings).items()),
        "forms": queries.list_forms(current_user.id),
        "states": [(state, name_state(state)) for state in State],
        "activities": [(activity, name_activity(activity)) for activity in Activity],
    }


def list_fields(types: Mapping[str, AttributeType], *, optional: list[str]) -> list[dict[str, Any]]:
    """Return the fields in groups; `values` is true if values of the owner's clients can be offered."""
    attributes = [
        {
            "key": ATTRIBUTE_PREFIX + key,
            "name": name_field(ATTRIBUTE_PREFIX + key),
            "kind": find_kind(ATTRIBUTE_PREFIX + key, types),
            "values": True,
        }
        for key in queries.list_attributes(current_user)
    ]
    fields = {
        field: {"key": field, "name": name_field(field), "kind": kind, "values": field == "domain"}
        for field, kind in FIELDS.items()
    }
    activity = ["tag", "topic", "form", "mailing", *optional, "state"]
    groups = {
        _("Client data"): attributes,
        _("Tags and emails"): [fields[field] for field in activity],
        _("Contact"): [fields[field] for field in FIELDS if field not in (*activity, *OPTIONAL)],
    }
    return [{"name": name, "fields": members} for name, members in groups.items() if members]


@bp.post("/preview")
@login_required
@takes_turns
def preview() -> ResponseReturnValue:
    """Return the reach of unsaved conditions, or the error in them."""
    viewpoint = Viewpoint.of(current_user, utcnow())
    text = request.form.get("conditions", "")
    reach = find_reach(lambda: parse_conditions(text, viewpoint), viewpoint)
    return render_template("segments/_reach.html", **reach)


@bp.get("/values")
@login_required
def values() -> ResponseReturnValue:
    """Return the most common values of a field among the user's newest clients."""
    field = request.args.get("field", "")
    key = field.removeprefix(ATTRIBUTE_PREFIX)
    return jsonify(queries.list_values(current_user.id, field, key if key != field else None))
