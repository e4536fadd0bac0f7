"""List and delete clients."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients import list_columns, queries, saved_views, tags
from skymailing.clients.activity import counts_clicks, find_activities
from skymailing.clients.bulk.services import find_open_jobs
from skymailing.clients.bulk.texts import describe_job
from skymailing.clients.deletion import delete_clients, restore_clients
from skymailing.clients.filters import ClientFilter, find_segment, list_segments
from skymailing.clients.forms import ACTIVITY_FILTERS, ACTIVITY_LABELS, COLUMN_LABELS, STATUS_LABELS
from skymailing.clients.last_contacts import find_last_contacts
from skymailing.clients.list_columns import Columns
from skymailing.clients.listing import read_listing
from skymailing.clients.search.matching import clean_search
from skymailing.clients.sorting import TooManyToSort
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.pagination import Page
from skymailing.db.time_limit import TookTooLong
from skymailing.delivery.audience.fields import Activity, State
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Client, Removal
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import read_id

# Query parameters of the list, which its forms repeat.
LIST_FIELDS = ("q", "tag", "segment", "status", "activity", "sort")


@bp.get("/")
@login_required
def index() -> ResponseReturnValue:
    """List the clients who pass the filter, in the chosen order."""
    return render_list()


def render_list(view_name: str = "", view_error: str = "") -> str:
    """Return the page with the list that the URL describes, and the name under which it cannot be saved."""
    chosen = read_filter(request.args)
    columns = list_columns.read_columns(current_user)
    now = utcnow()
    cursor, number = request.args.get("cursor"), read_id(request.args.get("page", ""))
    sort = read_sort(request.args, columns)
    listing = read_listing(current_user, chosen, sort, cursor, number, now)
    page, problem = listing.page, listing.problem
    return render_template(
        "clients/index.html",
        page=page,
        suppressions=queries.find_suppressions(current_user.id, page),
        tags=tags.find_tags([client.id for client in page]),
        count=listing.count,
        chosen=chosen,
        segment=find_segment(current_user.id, chosen.segment) if chosen.segment else None,
        segments=list_segments(current_user.id),
        status_labels=STATUS_LABELS,
        problem=explain(problem) if problem else "",
        is_stopped=isinstance(problem, TookTooLong),
        tag_names=tags.list_names(current_user.id),
        is_tag_missing=not page.items and chosen.tag and not tags.find_tag(current_user.id, chosen.tag),
        sort=listing.sort,
        sort_labels=list_sorts(columns, listing.sort),
        unsorted=explain_order(listing.unsorted) if listing.unsorted else "",
        **make_column_context(columns, page),
        bulk_jobs=[(job, describe_job(job)) for job in find_open_jobs(current_user.id, now)],
        **make_activity_context(page, now),
        **make_view_context(columns),
        view_name=view_name,
        view_error=view_error,
    )


def explain_order(error: UserError) -> str:
    """Return why the list does not have the order that was chosen."""
    if isinstance(error, TooManyToSort):
        return explain(UserError(error.code, limit=format_decimal(error.limit)))
    return explain(error)


def read_sort(values: Mapping[str, str], columns: Columns) -> str:
    """Return the order in the page's URL: a column, after "-" if it is descending."""
    sort = values.get("sort", queries.DEFAULT_ORDER)
    can_be_sorted = sort in queries.ORDERS or columns.has_values(sort.removeprefix("-"))
    return sort if can_be_sorted else queries.DEFAULT_ORDER


def make_column_context(columns: Columns, page: Page) -> dict[str, Any]:
    """Return the columns of the list, those that can be chosen, and the data for columns."""
    ids = [client.id for client in page] if set(list_columns.LAST).intersection(columns.shown) else []
    return {
        "last_contacts": find_last_contacts(current_user.id, ids) if ids else {},
        "columns": columns.shown,
        "attribute_columns": columns.attributes,
        "are_default_columns": columns.is_default,
        "column_labels": COLUMN_LABELS,
        "max_attributes": list_columns.MAX_ATTRIBUTES,
    }


def list_sorts(columns: Columns, sort: str) -> dict[str, str]:
    """Return the label of each column that phones offer for sorting, where the table has no titles."""
    standard = {"email": _("Address"), "name": _("Name")}
    standard |= {name: str(COLUMN_LABELS[name]) for name in ("added", *list_columns.SORTED)}
    shown = [*columns.shown, sort.removeprefix("-")]
    return standard | {name: label for name, label in columns.attributes.items() if name in shown}


def make_activity_context(page: Page, now: datetime) -> dict[str, Any]:
    """Return the marks of the clients on the page, and the filter by activity."""
    if not counts_clicks(current_user.id):
        return {"activities": {}, "filters": {}}
    return {
        "activities": find_activities(current_user, page, now) if page.items else {},
        "activity_labels": ACTIVITY_LABELS,
        "filters": ACTIVITY_FILTERS,
    }


def make_view_context(columns: Columns) -> dict[str, Any]:
    """Return the saved views, whether the list shows each of them, and the arguments to save as a view."""
    arguments = read_arguments(request.args, columns)
    views = [
        (view, read_arguments(view.arguments, columns) == arguments != {})
        for view in saved_views.list_views(current_user)
    ]
    is_saved = any(is_shown for _view, is_shown in views)
    return {"views": views, "list_arguments": arguments, "can_be_saved": arguments and not is_saved}


def read_arguments(values: Mapping[str, str], columns: Columns | None = None) -> dict[str, str]:
    """Return those arguments of the list's URL that are valid and not the usual ones."""
    chosen = read_filter(values)
    sort = read_sort(values, columns or list_columns.read_columns(current_user))
    valid = {"q": chosen.search, "tag": chosen.tag, "segment": chosen.segment, "status": chosen.state}
    valid |= {"activity": chosen.activity, "sort": "" if sort == queries.DEFAULT_ORDER else sort}
    return {name: str(value) for name, value in valid.items() if value}


def read_filter(values: Mapping[str, str]) -> ClientFilter:
    """Return the filter in the page's URL, or in a form that repeats it."""
    search, tag = (clean_search(values.get(name, "")) for name in ("q", "tag"))
    status, activity = values.get("status", ""), values.get("activity", "")
    return ClientFilter(
        search,
        tag,
        read_id(values.get("segment", "")),
        State(status) if status in set(State) else None,
        Activity(activity) if activity in set(Activity) else None,
    )


def back_to_list() -> str:
    """Return the URL of the list as it was, from a form with `_list_fields.html`."""
    values: dict[str, Any] = {name: request.form[name] for name in LIST_FIELDS if request.form.get(name)}
    return url_for("clients.index", **values)


@bp.route("/<big:client_id>/delete", methods=["GET", "POST"])
@login_required
def delete(client_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a client; letters already sent remain in the log."""
    client = get_own(Client, client_id)
    if request.method == "POST":
        _count, deletion = delete_clients(current_user.id, [client.id], utcnow(), current_actor())
        flash_deletion(_("Client deleted."), deletion)
        db.session.commit()
        return redirect(url_for("clients.index"))
    return render_template(
        "clients/delete.html", clients=[client], count=1, selected_in=queries.count_selections([client.id])
    )


def flash_deletion(text: str, deletion: Removal | None) -> None:
    """Show that clients were deleted, with an undo button."""
    if deletion is not None:
        flash_undo(text, url_for("clients.undo", removal_id=deletion.id))


@bp.post("/undo/<big:removal_id>")
@login_required
def undo(removal_id: int) -> ResponseReturnValue:
    """Restore deleted clients."""
    count = restore_clients(current_user.id, removal_id, utcnow(), current_actor())
    if count is None:
        abort(404)
    db.session.commit()
    text = ngettext("%(num)d client restored.", "%(num)d clients restored.", count)
    flash(f"{text} " + _("Cancelled emails will not be sent."), "success")
    return redirect(url_for("clients.index"))
