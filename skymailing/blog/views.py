"""The public blog."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

bp = Blueprint("blog", __name__, url_prefix="/blog")


@bp.get("/")
def index() -> ResponseReturnValue:
    """List the published articles, the newest first."""
    return render_template("base.html")
