"""Article pages for content managers and administrators; the panel edits no other content."""

from typing import Any

from flask import abort, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from skymailing import audit
from skymailing.audit import current_actor
from skymailing.blog.content import render_body
from skymailing.blog.images import store_image
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.manager import queries
from skymailing.manager.article_forms import ArticleForm
from skymailing.manager.forms import ArticleFilter, ConfirmForm
from skymailing.manager.views.base import AUTHORS, PanelView
from skymailing.models import Article, AuditAction, MessageFormat
from skymailing.web.error_texts import explain

# The preview runs no scripts and loads nothing from other sites; images appear as in the blog.
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; img-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class ArticlesView(PanelView):
    roles = AUTHORS

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List all articles, including drafts."""
        form = ArticleFilter(formdata=request.args)
        form.validate()
        now = utcnow()
        page = queries.list_articles(form.text("q"), form.flag("published"), now, request.args.get("cursor"))
        return self.render("manager/articles.html", page=page, form=form, now=now)

    @expose("/new", methods=("GET", "POST"))
    def new(self) -> ResponseReturnValue:
        """Create an article."""
        form = ArticleForm(None)
        if form.validate_on_submit() and self.save(form, Article(author_id=current_user.id)):
            flash(_("Article saved."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.render("manager/article.html", form=form, article=None, now=utcnow())

    @expose("/<int:article_id>/edit", methods=("GET", "POST"))
    def edit(self, article_id: int) -> ResponseReturnValue:
        """Edit an article."""
        article = db.session.get(Article, article_id) or abort(404)
        form = ArticleForm(article, data=read_current_values(article))
        if form.validate_on_submit() and self.save(form, article):
            flash(_("Article saved."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.render("manager/article.html", form=form, article=article, now=utcnow())

    def save(self, form: ArticleForm, article: Article) -> bool:
        """Save the article and its image; on an error, show it next to its field and return False."""
        is_new = article.id is None  # after the rollback below, the article may have been deleted
        image = "" if form.remove_image.data else article.image or ""
        if form.image.data:
            db.session.rollback()  # decoding takes a while and must not block other writers
            try:
                image = store_image(form.image.data.stream)
            except UserError as error:
                form.image.errors = [explain(error)]
                return False
        if not is_new and self.was_changed(article, form):
            return False
        form.apply_to(article, image)
        if "publish" in request.form:
            article.published_at = utcnow()
        db.session.add(article)
        try:
            db.session.flush()
        except IntegrityError:  # another article has just taken the address
            db.session.rollback()
            form.slug.errors = [_("Another article uses this address.")]
            return False
        action = AuditAction.ARTICLE_CREATED if is_new else AuditAction.ARTICLE_EDITED
        audit.record(action, current_actor(), article)
        db.session.commit()
        return True

    def was_changed(self, article: Article, form: ArticleForm) -> bool:
        """Return whether someone has saved the article since this page was opened; if so, show a warning.

        Submitting the form again overwrites their version.
        """
        try:
            db.session.refresh(article, with_for_update=True)
        except InvalidRequestError:  # deleted since the request began
            abort(404)
        if not form.is_stale():
            return False
        form.form_errors.append(
            _(
                "Someone changed this article while you were editing it. Check their version in another tab."
                " If you save again, your version replaces theirs."
            )
        )
        db.session.rollback()
        return True

    @expose("/<int:article_id>/delete", methods=("GET", "POST"))
    def delete(self, article_id: int) -> ResponseReturnValue:
        """Delete an article after confirmation."""
        article = db.session.get(Article, article_id) or abort(404)
        form = ConfirmForm()
        if form.validate_on_submit():
            audit.record(AuditAction.ARTICLE_DELETED, current_actor(), article)
            db.session.delete(article)
            db.session.commit()
            flash(_("Article deleted."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.render("manager/article_delete.html", article=article)

    @expose("/preview", methods=("GET", "POST"))
    def preview(self) -> ResponseReturnValue:
        """Show the edited article as readers would see it, without saving it.

        The form posts to a frame next to it, so this works without JavaScript.
        """
        body, format_ = request.form.get("body", ""), request.form.get("format", "")
        is_known = format_ in set(MessageFormat)
        title, html = request.form.get("title", ""), None
        if body.strip() and is_known:
            html = Markup(render_body(MessageFormat(format_), body))  # noqa: S704 - render_body returns safe HTML
        response = make_response(render_template("manager/article_preview.html", html=html, title=title))
        response.headers["Content-Security-Policy"] = PREVIEW_POLICY
        return response


def read_current_values(article: Article) -> dict[str, Any]:
    names = ("title", "slug", "summary", "body", "image_alt", "published_at")
    seen = article.updated_at.isoformat()
    return {name: getattr(article, name) for name in names} | {"format": article.format.value, "seen": seen}
