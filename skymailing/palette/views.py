"""Serve the command palette: its own page, and the results that its dialog shows."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_login import current_user, login_required

from skymailing.clients.search.matching import clean_search
from skymailing.help.pages import search as search_help
from skymailing.palette.places import find_places
from skymailing.palette.queries import Found, find_objects
from skymailing.web.user_turns import takes_turns

bp = Blueprint("palette", __name__, url_prefix="/go")
BLUEPRINTS = (bp,)
MIN_SEARCH_LENGTH = 2
MAX_HELP_PAGES = 5


@bp.get("/")
@login_required
@takes_turns
def index() -> ResponseReturnValue:
    """Show matching pages, objects and help pages; with `part`, without the layout of the page."""
    search = clean_search(request.args.get("q", ""))
    template = "palette/_results.html" if request.args.get("part") else "palette/index.html"
    is_search = len(search) >= MIN_SEARCH_LENGTH
    return render_template(
        template,
        search=search,
        places=find_places(current_user, search.lower().split()),
        found=find_objects(current_user.id, search) if is_search else Found(),
        help_pages=search_help(search, get_locale().language)[:MAX_HELP_PAGES] if is_search else [],
    )
