"""Show, create and edit a client, and stop or allow mailing to its address."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients import letters, services, suppression
from skymailing.clients.activity import count_clicked_letters, counts_clicks, find_activities
from skymailing.clients.columns import attribute_key
from skymailing.clients.consents import find_later_confirmation
from skymailing.clients.forms import ACTIVITY_LABELS, ClientForm, make_client_form
from skymailing.clients.known_fields import order_values, suggest_fields
from skymailing.clients.places import find_enterable, list_places
from skymailing.clients.subjects import fill_for_client
from skymailing.clients.tags import InvalidTag, list_client_tags, list_names
from skymailing.clients.timeline.events import group_by_day, list_events
from skymailing.clients.timeline.kinds import Filter
from skymailing.clients.topic_choices import list_states
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.delivery.transactional import fill_subject
from skymailing.extensions import db
from skymailing.models import Client, ConsentKind, SuppressionReason
from skymailing.models.client import NOTE_MAX_LENGTH
from skymailing.purchases.queries import has_purchases, sum_of_client
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.settings.retention import retention_settings
from skymailing.tracking.click_counts import to_time
from skymailing.web.error_texts import explain
from skymailing.web.i18n import get_user_zone
from skymailing.web.timezone_choices import name_timezone

READY_FIELDS = 5  # in the form of a new client
OFFERED_FIELDS = 12  # buttons for further ones
SUGGESTED_FIELDS = 100  # names to choose from while typing


@bp.route("/new", methods=["GET", "POST"])
@login_required
def new() -> ResponseReturnValue:
    """Add one client; the form has the fields that the newest clients use most."""
    known = suggest_fields(current_user)
    form = make_client_form(fields=known[:READY_FIELDS] if request.method == "GET" else ())
    if submit(form, None):
        flash(_("Client added."), "success")
        return redirect(url_for("clients.index"))
    return render_form(form, None, known)


def render_form(form: ClientForm, client: Client | None, known: Sequence[str]) -> str:
    """Return the page with the form; `known` are the fields to suggest."""
    present = {attribute_key(pair.form.name.data or "") for pair in form.attributes}
    others = [name for name in known if name not in present]
    return render_template(
        "clients/edit.html",
        form=form,
        client=client,
        known_tags=list_names(current_user.id),
        ready_fields=[] if client else known,
        other_fields=others[:SUGGESTED_FIELDS],
        max_offered=OFFERED_FIELDS,
        added_field=request.form.get("add_field", ""),
    )


@bp.get("/<big:client_id>")
@login_required
def show(client_id: int) -> ResponseReturnValue:
    """Show a client: values, tags, topics, sequences, whether the address is suppressed, and the timeline."""
    return render_profile(get_own(Client, client_id))


@dataclass(frozen=True, slots=True)
class EditedValue:
    """A value that could not be saved, and why; if `field` is empty, `name` is a new field."""

    field: str
    value: str
    error: str
    name: str = ""


def render_profile(
    client: Client,
    *,
    note: str = "",
    note_error: str = "",
    new_tags: str = "",
    tag_error: str = "",
    edited: EditedValue | None = None,
) -> str:
    """Return the page of a client, with a note, tags or a value that could not be saved, and why."""
    known = suggest_fields(current_user)
    suppressed = suppression.find_suppression(client.owner_id, client.email_key)
    topics = list_states(client.owner_id, client.email_key)
    return render_template(
        "clients/show.html",
        client=client,
        note=note,
        note_error=note_error,
        note_max_length=NOTE_MAX_LENGTH,
        timezone=name_timezone(client.timezone, utcnow()) if client.timezone else "",
        new_tags=new_tags,
        tag_error=tag_error,
        edited=edited,
        known_fields=known,
        values=order_values(client, known),
        suppressed=suppressed,
        confirmed=find_later_confirmation(suppressed) if suppressed else None,
        topics=topics,
        places=list_places(client),
        enterable=find_enterable(client.owner_id),
        kept_days=retention_settings().run_details,
        has_left_topic=partial(
            letters.has_left_topic,
            left=letters.find_left_topics(topics),
            suppressed_at=suppressed.created_at if suppressed else None,
        ),
        **make_tag_context(client),
        **make_interest_context(client),
        **make_timeline_context(client),
    )


def back_to(client_id: int, anchor: str) -> ResponseReturnValue:
    """Redirect to a part of a client's page."""
    return redirect(url_for("clients.show", client_id=client_id, _anchor=anchor))


def make_tag_context(client: Client) -> dict[str, Any]:
    """Return the client's tags, and the owner's other tags, which the field suggests."""
    tags = list_client_tags(client)
    present = {name for _id, name in tags}
    return {"tags": tags, "known_tags": [name for name in list_names(client.owner_id) if name not in present]}


def make_interest_context(client: Client) -> dict[str, Any]:
    """Return how active the client is, and how much the client has bought."""
    known = counts_clicks(current_user.id)
    letters, clicked = count_clicked_letters(client) if known else (0, 0)
    return {
        "letters_of_clicks": letters,
        "letters_clicked": clicked,
        "counts_clicks": known,
        "activity": find_activities(current_user, [client], utcnow()).get(client.id) if known else None,
        "activity_labels": ACTIVITY_LABELS,
        "has_purchases": has_purchases(client.owner_id),
        "spent": sum_of_client(client),
    }


def make_timeline_context(client: Client) -> dict[str, Any]:
    """Return a page of the client's timeline, and what its sentences need."""
    wanted = request.args.get("show")
    chosen = Filter(wanted) if wanted in set(Filter) else None
    events = list_events(client, chosen, request.args.get("cursor"))
    return {
        "chosen": chosen,
        "events": events,
        "days": group_by_day(events, get_user_zone()),
        "consent_kind": ConsentKind,
        "to_time": to_time,
        "explain_run": letters.explain_run,
        "fill_for_client": fill_for_client,
        "fill_subject": partial(fill_subject, formats=ValueFormats.of(current_user)),
    }


@bp.route("/<big:client_id>/edit", methods=["GET", "POST"])
@login_required
def edit(client_id: int) -> ResponseReturnValue:
    """Edit a client."""
    client = get_own(Client, client_id)
    known = suggest_fields(current_user)
    form = make_client_form(client, known)
    if submit(form, client):
        flash(_("Client saved."), "success")
        return redirect(url_for("clients.show", client_id=client.id))
    return render_form(form, client, known)


def submit(form: ClientForm, client: Client | None) -> bool:
    """Save the submitted form, creating a client if there is none; return False to show the page again."""
    if add_requested_pairs(form) or not form.validate_on_submit():
        return False
    try:
        if client is None:
            services.create_client(current_user.id, form.read_values())
        else:
            services.update_client(client, form.read_values())
    except (services.DuplicateClient, LimitReached) as error:
        form.email.errors = [explain(error)]
        return False
    except InvalidTag as error:
        form.tags.errors = [explain(error)]
        return False
    db.session.commit()
    return True


def add_requested_pairs(form: ClientForm) -> bool:
    """Add the field, or the empty fields, whose button was pressed; return whether one was."""
    if not form.is_submitted():
        return False
    if name := request.form.get("add_field"):
        form.add_field(name)
        return True
    if "more" in request.form:
        form.add_blank_pairs()
        return True
    return False


@bp.post("/<big:client_id>/suppress")
@login_required
def suppress(client_id: int) -> ResponseReturnValue:
    """Stop mailing a client's address at the owner's request."""
    client = get_own(Client, client_id)
    suppression.suppress(client.owner_id, client.email_key, SuppressionReason.MANUAL, "", utcnow())
    db.session.commit()
    flash(_("Mailings are no longer sent to this address."), "success")
    return redirect(url_for("clients.show", client_id=client.id))


@bp.post("/<big:client_id>/allow")
@login_required
def allow(client_id: int) -> ResponseReturnValue:
    """Lift a suppression that the owner made; other suppressions cannot be lifted (403)."""
    client = get_own(Client, client_id)
    if not suppression.lift_manual(client.owner_id, client.email_key):
        if suppression.is_suppressed(client.owner_id, client.email_key):
            abort(403)
        return redirect(url_for("clients.show", client_id=client.id))
    db.session.commit()
    flash(_("This client will receive mailings again."), "success")
    return redirect(url_for("clients.show", client_id=client.id))
