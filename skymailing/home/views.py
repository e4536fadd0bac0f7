"""The home page, the guide for new users, the page about privacy and the choice of language."""

from datetime import datetime
from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_login import current_user, login_required

from skymailing.blog.queries import find_random_articles
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.home import guide, queries, start_page
from skymailing.home.decisions import find_decisions
from skymailing.mailings.queries import count_last_runs
from skymailing.mailings.result_text import format_share
from skymailing.mailings.state_text import explain_state
from skymailing.security import is_safe_next
from skymailing.settings.retention import retention_settings
from skymailing.web.i18n import LANGUAGE_COOKIE

bp = Blueprint("home", __name__)
BLUEPRINTS = (bp,)

LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60  # seconds


@bp.get("/")
def index() -> ResponseReturnValue:
    """Introduce the service to visitors; show signed-in users their mailings and the guide."""
    now = utcnow()
    articles = find_random_articles(3, now, get_locale().language)
    if not current_user.is_authenticated:
        return render_template("home/index.html", totals=queries.count_totals(now), articles=articles)
    return render_template("home/dashboard.html", articles=articles, **_load_start_page(current_user.id, now))


def _load_start_page(owner_id: int, now: datetime) -> dict[str, Any]:
    running = queries.find_running(owner_id)
    progress = guide.load_guide(current_user)
    has_mailings = guide.Step.MAILING in progress.done
    last = start_page.find_last_result(owner_id) if has_mailings else None
    return {
        "guide": progress,
        "Step": guide.Step,
        "decisions": find_decisions(owner_id, now),
        "running": running,
        "runs": count_last_runs([mailing.id for mailing in running]),
        "upcoming": queries.find_upcoming(owner_id),
        "last": last,
        "growth": start_page.measure_growth(owner_id, now) if guide.Step.CLIENTS in progress.done else None,
        "growth_days": start_page.GROWTH_DAYS,
        "suggestion": start_page.suggest_next_step(owner_id) if last else None,
        "explain_state": explain_state,
        "format_share": format_share,
    }


@bp.get("/privacy")
def privacy() -> str:
    """Describe the data that the service stores about recipients of emails."""
    return render_template("home/privacy.html", kept=retention_settings())


@bp.post("/guide")
@login_required
def change_guide() -> ResponseReturnValue:
    """Skip or restore a step, or hide or show the whole guide."""
    steps = set(guide.Step)
    match request.form.get("do"), request.form.get("step"):
        case "skip", step if step in steps:
            guide.skip_step(current_user, guide.Step(step))
        case "restore", step if step in steps:
            guide.restore_step(current_user, guide.Step(step))
        case "close", _:
            current_user.guide_closed = True
        case "open", _:
            guide.open_guide(current_user)
        case _:
            abort(400)
    db.session.commit()
    return redirect(url_for("home.index"))


@bp.route("/language", methods=["GET", "POST"])
def language() -> ResponseReturnValue:
    """Show the languages; store the chosen one in the user's profile and in a cookie."""
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
