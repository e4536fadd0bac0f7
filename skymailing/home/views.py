"""The home page and the choice of language."""

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

bp = Blueprint("home", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show what the service is, or where a signed-in user stands."""
    return render_template("home/index.html")


@bp.route("/language", methods=["GET", "POST"])
def language() -> ResponseReturnValue:
    return "language"
