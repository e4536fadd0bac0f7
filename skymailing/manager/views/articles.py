"""Article pages for content managers and administrators; the panel edits no other content."""

from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from skymailing import audit
from skymailing.audit import current_actor
from skymailing.blog.covers import store_cover
from skymailing.blog.images import store_image
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.manager import article_drafts as drafts
from skymailing.manager import queries
from skymailing.manager.article_forms import ArticleForm
from skymailing.manager.forms import ArticleFilter, ConfirmForm
from skymailing.manager.views.article_editor import ArticleEditor
from skymailing.models import Article, ArticleDraft, AuditAction, MessageFormat
from skymailing.web.error_texts import explain
from skymailing.web.i18n import get_user_zone
from skymailing.web.ids import parse_id
from skymailing.web.picture_files import parse_name
from skymailing.web.timezones import parse_local


class ArticlesView(ArticleEditor):
    """The list of articles, and the pages to write and delete them."""

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """List all articles, including drafts."""
        form = ArticleFilter(formdata=request.args)
        form.validate()
        now = utcnow()
        page = queries.list_articles(form.text("q"), form.flag("published"), now, request.args.get("cursor"))
        new_drafts = drafts.list_new_drafts(current_user.id)
        return self.render("manager/articles.html", page=page, form=form, now=now, drafts=new_drafts)

    @expose("/new", methods=("GET", "POST"))
    def new(self) -> ResponseReturnValue:
        """Create an article, from a draft if the URL names one."""
        draft_id = request.args.get("draft", type=parse_id)
        draft = drafts.find_own_draft(current_user.id, draft_id) if draft_id else None
        if draft_id and (draft is None or draft.article_id or draft.discarded_at) and request.method == "GET":
            flash(_("This draft has been saved or discarded."), "info")
            return redirect(url_for("manager_articles.index"))
        form = ArticleForm(None, data=read_draft_values(draft) if draft else None)
        if form.validate_on_submit() and self.save(form, Article(author_id=current_user.id)):
            flash(_("Article saved."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.show(form, None, draft)

    @expose("/<int:article_id>/edit", methods=("GET", "POST"))
    def edit(self, article_id: int) -> ResponseReturnValue:
        """Edit an article."""
        article = db.session.get(Article, article_id) or abort(404)
        draft = drafts.find_draft(current_user.id, article) if "saved" not in request.args else None
        values = read_current_values(article) | (read_draft_values(draft) if draft else {})
        form = ArticleForm(article, data=values)
        if form.validate_on_submit() and self.save(form, article):
            flash(_("Article saved."), "success")
            return redirect(url_for("manager_articles.index"))
        return self.show(form, article, draft)

    def show(self, form: ArticleForm, article: Article | None, draft: ArticleDraft | None) -> str:
        """Return the page with the editor."""
        is_html = form.format.data == MessageFormat.HTML or not (article or draft or form.body.data)
        return self.render(
            "manager/article.html",
            form=form,
            article=article,
            draft=draft,
            now=utcnow(),
            initial_mode="writing" if is_html else form.format.data,
            image=parse_name(article.image) if article else None,
            draft_fields=" ".join(drafts.FIELDS),
        )

    def save(self, form: ArticleForm, article: Article) -> bool:
        """Save the article and its image; on an error, show it next to its field and return False."""
        is_new = article.id is None  # after the rollback below, the article may have been deleted
        try:
            images = store_images(form, article)
        except UserError as error:
            form.image.errors = [explain(error)]
            return False
        if not is_new and self.was_changed(article, form):
            return False
        form.apply_to(article, *images)
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
        draft_id = request.form.get("draft", type=parse_id)
        drafts.delete_drafts(current_user.id, article_id=article.id, draft_id=draft_id)
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


def store_images(form: ArticleForm, article: Article) -> tuple[str, str]:
    """Store the uploaded image, and the visible part if it has changed; return their file names.

    Raises UserError.
    """
    image, crop = "" if form.remove_image.data else article.image or "", form.read_crop()
    cover = article.cover or ""
    is_current = cover and crop == (article.crop_x, article.crop_y, article.crop_zoom)
    if not image and not form.image.data:
        return "", ""
    if is_current and not form.image.data:
        return image, cover
    db.session.rollback()  # decoding takes a while and must not block other writers
    if form.image.data:
        image = store_image(form.image.data.stream)
    return image, store_cover(image, crop)


def read_current_values(article: Article) -> dict[str, Any]:
    texts = ("title", "slug", "summary", "language", "body", "image_alt")
    names = (*texts, "published_at", "crop_x", "crop_y", "crop_zoom")
    seen = article.updated_at.isoformat()
    return {name: getattr(article, name) for name in names} | {"format": article.format.value, "seen": seen}


def read_draft_values(draft: ArticleDraft) -> dict[str, Any]:
    """Return the form's values from a draft; unreadable ones are left out."""
    values: dict[str, Any] = {**draft.fields, "seen": draft.seen}
    typed = values.pop("published_at", "")
    try:
        values["published_at"] = parse_local(typed, get_user_zone()) if typed else None
    except UserError:
        values["published_at"] = None
    for name in ("crop_x", "crop_y", "crop_zoom"):
        text = values.pop(name, "")
        if text.isascii() and text.isdigit():
            values[name] = int(text)
    return values
