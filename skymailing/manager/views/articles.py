"""Articles: the only part of the panel that writes content, for content managers and administrators."""

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
from skymailing.extensions import db
from skymailing.manager import queries
from skymailing.manager.article_form import ArticleForm
from skymailing.manager.forms import ArticleFilter, ConfirmForm
from skymailing.manager.views.panel import AUTHORS, PanelView
from skymailing.models import Article, AuditAction, MessageFormat
from skymailing.web.images import ImageError

# Under this an article can show itself and nothing else, whatever is in it; pictures as on its page.
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; img-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class ArticlesView(PanelView):
    roles = AUTHORS

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List all articles, drafts included."""
        form = ArticleFilter(formdata=request.args)
        form.validate()
        now = utcnow()
        page = queries.list_articles(form.text("q"), form.flag("published"), now, request.args.get("cursor"))
        return self.render("manager/articles.html", page=page, form=form, now=now)

    @expose("/new", methods=("GET", "POST"))
    def new(self) -> ResponseReturnValue:
        """Write an article."""
        form = ArticleForm(None)
        if form.validate_on_submit() and self.save(form, Article(author_id=current_user.id)):
            flash(_("The article is saved."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.render("manager/article.html", form=form, article=None, now=utcnow())

    @expose("/<int:article_id>/edit", methods=("GET", "POST"))
    def edit(self, article_id: int) -> ResponseReturnValue:
        """Change an article."""
        article = db.session.get(Article, article_id) or abort(404)
        form = ArticleForm(article, data=present_values(article))
        if form.validate_on_submit() and self.save(form, article):
            flash(_("The article is saved."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.render("manager/article.html", form=form, article=article, now=utcnow())

    def save(self, form: ArticleForm, article: Article) -> bool:
        """Keep the article and its picture; or return False with what is wrong beside its field."""
        is_new = article.id is None  # asked once: after the rollback below it may be gone
        image = "" if form.remove_image.data else article.image or ""
        if form.image.data:
            db.session.rollback()  # decoding takes a while, in which others may want to write
            try:
                image = store_image(form.image.data.stream)
            except ImageError as error:
                form.image.errors = [str(error)]
                return False
        if not is_new and self.was_changed(article, form):
            return False
        form.fill(article, image)
        if "publish" in request.form:
            article.published_at = utcnow()
        db.session.add(article)
        try:
            db.session.flush()
        except IntegrityError:  # somebody else has just taken the address
            db.session.rollback()
            form.slug.errors = [_("Another article has this address.")]
            return False
        action = AuditAction.ARTICLE_CREATED if is_new else AuditAction.ARTICLE_EDITED
        audit.record(action, current_actor(), article)
        db.session.commit()
        return True

    def was_changed(self, article: Article, form: ArticleForm) -> bool:
        """Say so when somebody saved the article after this page was opened; sent again, it is saved."""
        try:
            db.session.refresh(article, with_for_update=True)
        except InvalidRequestError:  # deleted since the request began
            abort(404)
        if not form.is_stale():
            return False
        form.form_errors.append(
            _(
                "Somebody has changed this article since you opened it here. Look at it in another tab;"
                " if you save again, your text takes the place of theirs."
            )
        )
        db.session.rollback()
        return True

    @expose("/<int:article_id>/delete", methods=("GET", "POST"))
    def delete(self, article_id: int) -> ResponseReturnValue:
        """Ask, then delete an article."""
        article = db.session.get(Article, article_id) or abort(404)
        form = ConfirmForm()
        if form.validate_on_submit():
            audit.record(AuditAction.ARTICLE_DELETED, current_actor(), article)
            db.session.delete(article)
            db.session.commit()
            flash(_("The article is deleted."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.render("manager/article_delete.html", article=article)

    @expose("/preview", methods=("GET", "POST"))
    def preview(self) -> ResponseReturnValue:
        """Return what is being typed as readers would see it; saves nothing.

        The form posts here into the frame beside it: this works without JavaScript.
        """
        body, format_ = request.form.get("body", ""), request.form.get("format", "")
        known = format_ in set(MessageFormat)
        title, html = request.form.get("title", ""), None
        if body.strip() and known:
            html = Markup(render_body(MessageFormat(format_), body))  # noqa: S704 - it has just made it safe
        page = make_response(render_template("manager/article_preview.html", html=html, title=title))
        page.headers["Content-Security-Policy"] = PREVIEW_POLICY
        return page


def present_values(article: Article) -> dict[str, Any]:
    names = ("title", "slug", "summary", "body", "image_alt", "published_at")
    seen = article.updated_at.isoformat()
    return {name: getattr(article, name) for name in names} | {"format": article.format.value, "seen": seen}
