"""Serve the pages and images of the public blog."""

from datetime import datetime

from flask import Blueprint, Response, abort, current_app, g, render_template, request, send_from_directory
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_login import current_user
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from skymailing.blog import queries
from skymailing.blog.content_cache import list_languages, render_body_cached
from skymailing.blog.view_counts import VIEWS_PLACEHOLDER
from skymailing.clock import utcnow
from skymailing.models import Role
from skymailing.web.ids import read_page_number
from skymailing.web.picture_files import article_directory, parse_name

bp = Blueprint("blog", __name__, url_prefix="/blog")

A_YEAR = 365 * 24 * 60 * 60  # seconds
MEDIA_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


@bp.get("/")
def index() -> ResponseReturnValue:
    """List the published articles, in the reader's language first; authors also see unpublished ones."""
    now = utcnow()
    number, chosen_language = read_page_number(), read_language()
    articles, pages = queries.list_published(
        now, number, reader_language=get_locale().language, chosen_language=chosen_language
    )
    if number > pages:
        abort(404)
    drafts = queries.list_unpublished(now) if number == 1 and _may_see_drafts() else []
    return render_template(
        "blog/index.html",
        articles=articles,
        drafts=drafts,
        page=number,
        pages=pages,
        now=now,
        chosen_language=chosen_language,
        filters=list_filters(now, chosen_language),
    )


def read_language() -> str:
    """Return the language that the reader has chosen in the URL; empty if none, 404 if it is unknown."""
    language = request.args.get("language", "")
    if language and language not in current_app.config["LANGUAGES"]:
        abort(404)
    return language


def list_filters(now: datetime, chosen_language: str) -> list[str]:
    """Return the languages to choose from; none if all articles are in the same one."""
    found = list_languages(now) | ({chosen_language} - {""})
    languages = [code for code in current_app.config["LANGUAGES"] if code in found]
    return languages if chosen_language or len(languages) > 1 else []


@bp.get("/<slug>")
def article(slug: str) -> ResponseReturnValue:
    """Show an article; drafts and scheduled articles are visible to authors only."""
    found_article = queries.find_article(slug) or abort(404)
    now = utcnow()
    is_public = found_article.published_at is not None and found_article.published_at <= now
    if not is_public and not _may_see_drafts():
        abort(404)
    if is_public:
        g.page_values = [found_article.id, found_article.views]
    body = Markup(render_body_cached(found_article.format.value, found_article.body))  # noqa: S704 - cleaned by nh3
    return render_template(
        "blog/article.html",
        article=found_article,
        body=body,
        picture=parse_name(found_article.image),
        cover=parse_name(found_article.cover or found_article.image),
        is_public=is_public,
        now=now,
        views=VIEWS_PLACEHOLDER,
    )


def _may_see_drafts() -> bool:
    return bool(current_user.is_authenticated and current_user.role in (Role.CONTENT, Role.ADMIN))


@bp.get("/media/<name>")
def media(name: str) -> ResponseReturnValue:
    """Return a stored image; the file behind a name never changes."""
    picture = parse_name(name) or abort(404)
    try:
        response: Response = send_from_directory(article_directory(), picture.name, mimetype=picture.type)
    except NotFound:
        abort(404)
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    response.headers["Content-Security-Policy"] = MEDIA_POLICY
    return response
