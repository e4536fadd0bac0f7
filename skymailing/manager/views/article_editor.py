"""The requests of the article editor: preview, drafts, images in the text, and conversions."""

from collections.abc import Callable

from flask import abort, flash, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup

from skymailing.blog.content import convert_body, render_body
from skymailing.blog.images import SHOWN_WIDTH, store_image
from skymailing.clock import utcnow
from skymailing.db.engine import starts_reading
from skymailing.errors import UserError
from skymailing.extensions import db, limiter
from skymailing.manager import article_drafts as drafts
from skymailing.manager.views.base import AUTHORS, PanelView
from skymailing.models import Article, ArticleDraft, MessageFormat
from skymailing.web.error_texts import explain
from skymailing.web.flashes import flash_undo
from skymailing.web.ids import parse_big_id
from skymailing.web.images import PicturesBusy
from skymailing.web.picture_files import parse_name
from skymailing.web.user_turns import get_user_key, takes_turns

# The preview runs no scripts and loads nothing from other sites; images appear as in the blog.
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; img-src 'self'; font-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class ArticleEditor(PanelView):
    """What the editor asks for while an author types."""

    roles = AUTHORS

    @expose("/preview", methods=("GET", "POST"))
    @starts_reading
    def preview(self) -> ResponseReturnValue:
        """Show the edited article as readers would see it, without saving it.

        The form posts to a frame next to it, so this works without JavaScript.
        """
        body, format_ = request.form.get("body", ""), request.form.get("format", "")
        is_known = format_ in set(MessageFormat)
        title, html = request.form.get("title", ""), None
        if body.strip() and is_known:
            html = Markup(render_body(MessageFormat(format_), body))  # noqa: S704 - render_body returns safe HTML
        response = make_response(
            render_template(
                "manager/article_preview.html",
                html=html,
                title=title,
                language=request.form.get("language", ""),
            )
        )
        response.headers["Content-Security-Policy"] = PREVIEW_POLICY
        return response

    @expose("/convert", methods=("POST",))
    @takes_turns
    def convert(self) -> ResponseReturnValue:
        """Convert the typed text to another format."""
        old, new = request.form.get("format", ""), request.form.get("to", "")
        if {old, new} - set(MessageFormat):
            abort(400)
        return jsonify(
            body=convert_body(request.form.get("body", ""), MessageFormat(old), MessageFormat(new))
        )

    @expose("/pictures", methods=("POST",))
    @limiter.limit("20 per minute; 300 per hour", key_func=get_user_key)
    @starts_reading
    def upload_picture(self) -> ResponseReturnValue:
        """Store an image for the text and return its URL; 503 while other images are being decoded."""
        file = request.files.get("picture")
        if file is None:
            return jsonify(problem=_("Choose an image.")), 422
        db.session.rollback()  # decoding takes a while and must not block other writers
        try:
            name = store_image(file.stream)
        except PicturesBusy as error:
            return jsonify(problem=explain(error)), 503, {"Retry-After": "5"}
        except UserError as error:
            return jsonify(problem=explain(error)), 422
        picture = parse_name(name)
        assert picture is not None
        url = url_for("blog.media", name=name)
        return jsonify(url=url, width=picture.width, shown=min(picture.width, SHOWN_WIDTH))

    @expose("/drafts", methods=("POST",))
    def begin_draft(self) -> ResponseReturnValue:
        """Save the first draft of a new article."""
        return save_draft(lambda: drafts.begin_draft(current_user.id, None, "", request.form, utcnow()))

    @expose("/<int:article_id>/draft", methods=("POST",))
    def begin_article_draft(self, article_id: int) -> ResponseReturnValue:
        """Save the first draft of an article; 409 if another window has a draft, or if it was changed."""
        article = db.session.get(Article, article_id) or abort(404)
        seen = request.form.get("seen", "")
        return save_draft(
            lambda: drafts.begin_draft(current_user.id, article, seen, request.form, utcnow()),
            other=drafts.find_draft(current_user.id, article),
        )

    @expose("/drafts/<int:draft_id>", methods=("POST",))
    def change_draft(self, draft_id: int) -> ResponseReturnValue:
        """Save a draft again; 409 when another window has saved it since, unless forced."""
        draft = find_own(draft_id)
        revision = None if "force" in request.form else request.form.get("revision", 0, type=parse_big_id)
        return save_draft(lambda: drafts.change_draft(draft, revision, request.form, utcnow()), other=draft)

    @expose("/drafts/<int:draft_id>/discard", methods=("POST",))
    def discard_draft(self, draft_id: int) -> ResponseReturnValue:
        """Discard a draft; it can be restored for a while."""
        draft = find_own(draft_id)
        draft.discarded_at = draft.discarded_at or utcnow()
        db.session.commit()
        flash_undo(_("Draft discarded."), url_for("manager_articles.restore_draft", draft_id=draft.id))
        return redirect(url_for("manager_articles.index"))

    @expose("/drafts/<int:draft_id>/restore", methods=("POST",))
    def restore_draft(self, draft_id: int) -> ResponseReturnValue:
        """Restore a discarded draft, and open it."""
        draft = find_own(draft_id)
        try:
            drafts.restore_draft(draft)
        except drafts.NewerDraft as error:
            flash(explain(error), "warning")
        else:
            db.session.commit()
            flash(_("Draft restored."), "success")
        if draft.article_id is not None:
            return redirect(url_for("manager_articles.edit", article_id=draft.article_id))
        return redirect(url_for("manager_articles.new", draft=draft.id))


def find_own(draft_id: int) -> ArticleDraft:
    return drafts.find_own_draft(current_user.id, draft_id) or abort(404)


def save_draft(save: Callable[[], ArticleDraft], other: ArticleDraft | None = None) -> ResponseReturnValue:
    """Save a draft; return its ID and revision, or the conflict, as JSON, as the message editor does."""
    try:
        draft = save()
    except drafts.DraftElsewhere:
        return jsonify(reason="elsewhere", draft=other.id if other else None), 409
    except drafts.ArticleChanged:
        return jsonify(reason="changed"), 409
    except drafts.TooManyDrafts:
        return jsonify(reason="full"), 409
    db.session.commit()
    discard = url_for("manager_articles.discard_draft", draft_id=draft.id)
    return jsonify(draft=draft.id, revision=draft.revision, discard=discard)
