"""The home page, the guide for new users, the page about privacy and the choice of language."""

from datetime import datetime
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_required

from skymailing.blog.queries import find_random_articles
from skymailing.clock import utcnow
from skymailing.errors import UserError
from skymailing.extensions import db
from skymailing.home import guide, queries, start_page
from skymailing.home.decisions import find_decisions
from skymailing.mailings.queries import count_last_runs
from skymailing.mailings.result_text import format_share
from skymailing.mailings.state_text import explain_state
from skymailing.messages.starters import Card, list_first_cards
from skymailing.security import is_safe_next
from skymailing.settings.retention import retention_settings
from skymailing.web.error_texts import explain
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
        "starters": _list_starters(progress),
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


def _list_starters(progress: guide.Guide) -> list[Card]:
    """Return designs for the first message; none if a message exists or the guide is hidden."""
    is_next = progress.is_shown and guide.Step.MESSAGE not in progress.done | progress.skipped
    return list_first_cards(get_locale().language) if is_next else []


@bp.get("/privacy")
def privacy() -> str:
    """Describe the data that the service stores about recipients of emails."""
    return render_template("home/privacy.html", kept=retention_settings())


@bp.post("/guide")
@login_required
def change_guide() -> ResponseReturnValue:
    """Skip or restore a step, perform a step, or hide or show the whole guide."""
    steps = set(guide.Step)
    match request.form.get("do"), request.form.get("step"):
        case "skip", step if step in steps:
            guide.skip_step(current_user, guide.Step(step))
        case "restore", step if step in steps:
            guide.restore_step(current_user, guide.Step(step))
        case "add-me", _:
            add_own_address()
        case "name", _:
            guide.save_name(current_user, request.form.get("name", ""))
        case "close", _:
            current_user.guide_closed = True
        case "open", _:
            guide.open_guide(current_user)
        case _:
            abort(400)
    db.session.commit()
    return redirect(url_for("home.index"))


def add_own_address() -> None:
    try:
        guide.add_own_address(current_user)
        flash(_("You are your first client. Write a message, and send it to yourself."), "success")
    except UserError as error:
        flash(explain(error), "warning")


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
