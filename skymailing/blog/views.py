"""The public blog."""

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from skymailing.blog import queries
from skymailing.blog.content import render_article
from skymailing.clock import utcnow

bp = Blueprint("blog", __name__, url_prefix="/blog")


@bp.get("/")
def index() -> ResponseReturnValue:
    """List the published articles, the newest first."""
    page = queries.list_published(utcnow(), request.args.get("cursor"))
    return render_template("blog/index.html", page=page)


@bp.get("/<slug>")
def article(slug: str) -> ResponseReturnValue:
    """Show one published article; a draft or a future one is nobody's business yet."""
    found = queries.find_published(slug, utcnow()) or abort(404)
    return render_template("blog/article.html", article=found, body=render_article(found))
