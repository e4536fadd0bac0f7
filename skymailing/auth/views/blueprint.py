"""Define the blueprint of the account pages."""

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue

bp = Blueprint("auth", __name__, url_prefix="/auth")


@bp.after_request
def forbid_storing(response: Response) -> Response:
    """Keep pages with tokens, addresses and forms out of all caches."""
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.errorhandler(429)
def show_throttled(_error: Exception) -> ResponseReturnValue:
    return render_template("auth/throttled.html"), 429
