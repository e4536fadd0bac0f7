"""The home page and the choice of language."""

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from skymailing.blog.queries import find_random_articles
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.home import queries
from skymailing.i18n import LANGUAGE_COOKIE
from skymailing.mailings.queries import last_runs
from skymailing.security import is_safe_next

bp = Blueprint("home", __name__)

LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60  # seconds


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show a visitor what the service is, and a signed-in user where they stand too."""
    now = utcnow()
    for_everybody = {"totals": queries.count_totals(now), "articles": find_random_articles(3, now)}
    if not current_user.is_authenticated:
        return render_template("home/index.html", **for_everybody)
    running = queries.find_running(current_user.id)
    return render_template(
        "home/dashboard.html",
        progress=queries.find_progress(current_user.id),
        running=running,
        runs=last_runs([mailing.id for mailing in running]),
        upcoming=queries.find_upcoming(current_user.id),
        **for_everybody,
    )


@bp.route("/language", methods=["GET", "POST"])
def language() -> ResponseReturnValue:
    """Offer the languages; keep the chosen one in the profile, or in a visitor's cookie."""
    target = request.args.get("next")
    back = target if target and is_safe_next(target) else url_for("home.index")
    if request.method == "GET":
        return render_template("home/language.html", back=back)
    chosen = request.form.get("language", "")
    if chosen not in current_app.config["LANGUAGES"]:
        abort(400)
    if current_user.is_authenticated:
        current_user.locale = chosen
        db.session.commit()
    response = redirect(back)
    response.set_cookie(
        LANGUAGE_COOKIE,
        chosen,
        max_age=LANGUAGE_COOKIE_AGE,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response
