"""List clients who are probably the same person, and hide those who are not."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.clients.distinct import list_groups, mark_distinct
from skymailing.clients.duplicates import MAX_MEMBERS, find_duplicates
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.db.engine import LARGEST_BIG_ID
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import DistinctGroup
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import read_id
from skymailing.web.user_turns import takes_turns

GROUPS_PER_PAGE = 20


@bp.get("/duplicates")
@login_required
@takes_turns
def duplicates() -> ResponseReturnValue:
    """List clients who are probably the same person."""
    groups, comparison = find_duplicates(current_user.id)
    last_page = max(1, -(-len(groups) // GROUPS_PER_PAGE))
    page = min(read_id(request.args.get("page", "")) or 1, last_page)
    hidden, members = list_groups(current_user.id, request.args.get("cursor"))
    return render_template(
        "clients/duplicates.html",
        groups=groups[(page - 1) * GROUPS_PER_PAGE : page * GROUPS_PER_PAGE],
        page=page,
        last_page=last_page,
        comparison=comparison,
        hidden=hidden,
        members=members,
        max_members=MAX_MEMBERS,
    )


@bp.post("/duplicates/distinct")
@login_required
def hide_duplicates() -> ResponseReturnValue:
    """Remember that the clients of a group are different people."""
    ids = [read_id(text, LARGEST_BIG_ID) for text in request.form.getlist("clients")[:MAX_MEMBERS]]
    try:
        group = mark_distinct(current_user.id, ids, utcnow())
    except UserError as error:
        db.session.rollback()
        flash(explain(error), "warning")
    else:
        text = _("These clients are no longer listed.")
        if group is None:  # undoing would remove an earlier decision
            flash(text, "success")
        else:
            flash_undo(text, url_for("clients.show_again", group_id=group.id))
        db.session.commit()
    page = read_id(request.form.get("page", ""))
    return redirect(url_for("clients.duplicates", page=page if page > 1 else None))


@bp.post("/duplicates/distinct/<big:group_id>/undo")
@login_required
def show_again(group_id: int) -> ResponseReturnValue:
    """List a hidden group of clients again."""
    db.session.delete(get_own(DistinctGroup, group_id))
    db.session.commit()
    flash(_("These clients are listed again."), "success")
    return redirect(url_for("clients.duplicates"))
