"""Layout pages: list, create, edit and delete layouts, and choose the default."""

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.db.engine import start_writing, starts_reading
from skymailing.delivery.composition.errors import InvalidSource
from skymailing.delivery.rendering.letter import EXAMPLE, TemplateError, preview
from skymailing.extensions import db
from skymailing.messages import layouts, queries
from skymailing.messages.layout_forms import LayoutForm, make_stamp, read_layout_format
from skymailing.messages.views import editor
from skymailing.messages.views.blueprint import bp
from skymailing.models import Layout, SourceFormat
from skymailing.quotas.checks import LimitReached
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.letter_pages import seal_frame
from skymailing.web.urls import EXAMPLE_UNSUBSCRIBE_URL
from skymailing.web.user_turns import takes_turns


@bp.get("/layouts")
@login_required
def list_layouts() -> ResponseReturnValue:
    """List the user's layouts."""
    return render_template("messages/layouts.html", layouts=layouts.list_layouts(current_user.id))


@bp.route("/layouts/new", methods=["GET", "POST"])
@login_required
@starts_reading
def new_layout() -> ResponseReturnValue:
    """Create a layout; one of blocks begins with the user's brand."""
    format = read_layout_format(request.args.get("kind"))
    first = layouts.make_first_layout(format, get_locale().language)
    form = LayoutForm(current_user, data={"source_format": format.value, "source": first})
    return _edit(form, Layout(owner_id=current_user.id))


@bp.route("/layouts/<int:layout_id>/edit", methods=["GET", "POST"])
@login_required
@starts_reading
def edit_layout(layout_id: int) -> ResponseReturnValue:
    """Edit or rename a layout; started runs keep the earlier version."""
    layout = get_own(Layout, layout_id)
    data = {"name": layout.name, "source_format": layout.format, "source": layout.body}
    data["seen"] = make_stamp(layout)
    return _edit(LayoutForm(current_user, data=data), layout)


def _edit(form: LayoutForm, layout: Layout) -> ResponseReturnValue:
    is_changed = False
    if form.validate_on_submit():
        start_writing()
        if layout.id is not None:
            layout = get_own(Layout, layout.id, to_change=True)
            is_changed = form.is_stale(layout)
        if not is_changed and _save(form, layout):
            return redirect(url_for("messages.list_layouts"))
        db.session.rollback()
    attributes = queries.find_attributes(current_user.id)
    mode = "mjml" if form.source_format.data == SourceFormat.HTML else str(form.source_format.data)
    page = render_template(
        "messages/layout_form.html",
        **editor.describe_mode(mode, attributes, is_layout=True),
        **editor.describe_values(attributes),
        form=form,
        layout=layout,
        is_changed=is_changed,
    )
    return page, 409 if is_changed else 200


def _save(form: LayoutForm, layout: Layout) -> bool:
    """Save the layout and commit; if the limit is reached, add an error to the form and return False."""
    format = SourceFormat(form.source_format.data or "")
    try:
        layouts.save_layout(layout, form.name.data or "", format, form.source.data or "")
    except LimitReached as error:
        form.form_errors = [explain(error)]
        return False
    db.session.commit()
    flash(_("Layout saved."), "success")
    return True


@bp.post("/layouts/<int:layout_id>/default")
@login_required
def set_default_layout(layout_id: int) -> ResponseReturnValue:
    """Make a layout the default for new messages; if it already is, clear the default."""
    layout = get_own(Layout, layout_id)
    layouts.set_default(current_user.id, None if layout.is_default else layout)
    db.session.commit()
    return redirect(url_for("messages.list_layouts"))


@bp.route("/layouts/<int:layout_id>/delete", methods=["GET", "POST"])
@login_required
def delete_layout(layout_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a layout; its messages then have none."""
    layout = get_own(Layout, layout_id)
    if request.method == "POST":
        layouts.delete_layout(layout)
        db.session.commit()
        flash(_("Layout deleted."), "success")
        return redirect(url_for("messages.list_layouts"))
    return render_template(
        "messages/delete_layout.html", layout=layout, messages=layouts.find_messages(layout)
    )


@bp.get("/layouts/<int:layout_id>/preview")
@login_required
@takes_turns
def preview_layout(layout_id: int) -> ResponseReturnValue:
    """Return a sample message with a layout, for the frame of its thumbnail."""
    layout = get_own(Layout, layout_id)
    try:
        content = layouts.make_sample(current_user, layout, get_locale().language)
        letter = preview(
            content, EXAMPLE, sender_name=current_user.sender_name, unsubscribe_url=EXAMPLE_UNSUBSCRIBE_URL
        )
    except (InvalidSource, TemplateError):
        return seal_frame(Response("", mimetype="text/plain"))
    return seal_frame(Response(letter.html, mimetype="text/html"))
