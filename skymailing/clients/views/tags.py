"""List, rename, merge and delete tags."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.audit import current_actor
from skymailing.clients import tag_changes
from skymailing.clients.named_conditions import list_segments
from skymailing.clients.tags import list_tags
from skymailing.clients.views.blueprint import bp
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.models import Tag
from skymailing.security import get_own
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo


@bp.get("/tags/")
@login_required
def tags() -> ResponseReturnValue:
    """List the tags, each with the number of clients who have it."""
    return render_template("clients/tags.html", tags=list_tags(current_user.id))


@bp.route("/tags/<int:tag_id>/edit", methods=["GET", "POST"])
@login_required
def tag_edit(tag_id: int) -> ResponseReturnValue:
    """Rename a tag, and offer to merge it."""
    tag = get_own(Tag, tag_id)
    name, error = tag.name, ""
    if request.method == "POST":
        name = request.form.get("name", "")
        try:
            tag_changes.rename_tag(tag, name, current_actor())
        except UserError as refusal:
            error = explain(refusal)
        else:
            db.session.commit()
            flash(_("Tag renamed."), "success")
            return redirect(url_for("clients.tags"))
    others = [other for other, _count in list_tags(current_user.id) if other is not tag]
    return render_template("clients/tag_edit.html", tag=tag, name=name, error=error, others=others)


@bp.post("/tags/<int:tag_id>/merge")
@login_required
def tag_merge(tag_id: int) -> ResponseReturnValue:
    """Merge this tag into another one."""
    source = get_own(Tag, tag_id)
    others = {str(tag.id): tag for tag, _count in list_tags(current_user.id) if tag is not source}
    target = others.get(request.form.get("into", ""))
    if target is None:
        return redirect(url_for("clients.tag_edit", tag_id=source.id))
    names = {"name": source.name, "other": target.name}
    tag_changes.merge_tags(source, target, current_actor())
    db.session.commit()
    flash(_("The tag “%(name)s” was merged into “%(other)s”.", **names), "success")
    return redirect(url_for("clients.tags"))


@bp.route("/tags/<int:tag_id>/delete", methods=["GET", "POST"])
@login_required
def tag_delete(tag_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a tag, unless a mailing uses it."""
    tag = get_own(Tag, tag_id)
    mailings = tag_changes.find_mailings(tag)
    if request.method == "POST":
        try:
            removal = tag_changes.delete_tag(tag, utcnow(), current_actor())
        except tag_changes.TagInUse as error:
            mailings = error.mailings
        else:
            text = _("Tag deleted. The clients were kept.")
            if removal is None:
                flash(text, "success")
            else:
                flash_undo(text, url_for("clients.tag_undo", removal_id=removal.id))
            db.session.commit()
            return redirect(url_for("clients.tags"))
    return render_template(
        "clients/tag_delete.html",
        tag=tag,
        mailings=mailings,
        segments=list_segments(tag.owner_id, "tag", tag.name_key),
        can_be_restored=tag_changes.can_be_restored(tag),
    )


@bp.post("/tags/undo/<big:removal_id>")
@login_required
def tag_undo(removal_id: int) -> ResponseReturnValue:
    """Restore a deleted tag and add it to its clients."""
    name = tag_changes.restore_tag(current_user.id, removal_id, utcnow(), current_actor())
    if name is None:
        abort(404)
    db.session.commit()
    flash(_("The tag “%(name)s” has been restored.", name=name), "success")
    return redirect(url_for("clients.tags"))
