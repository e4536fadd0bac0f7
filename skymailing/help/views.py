"""Serve the help pages and their search."""

from flask import Blueprint, abort, render_template, request
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from skymailing.help import pages

bp = Blueprint("help", __name__, url_prefix="/help")
BLUEPRINTS = (bp,)

GROUP_TITLES = {
    "clients": _l("Clients"),
    "messages": _l("Messages"),
    "mailings": _l("Mailings"),
    "senders": _l("Senders"),
    "results": _l("Results"),
    "account": _l("Account"),
    "developers": _l("Developers"),
}


@bp.get("/")
def index() -> str:
    """List the pages by subject, or those that match a search."""
    query = request.args.get("q", "").strip()
    language = get_locale().language
    groups = [
        (GROUP_TITLES[name], [pages.find_page(slug, language) for slug in slugs])
        for name, slugs in pages.GROUPS.items()
    ]
    found = pages.search(query, language) if query else []
    return render_template("help/index.html", groups=groups, found=found, query=query)


@bp.get("/<slug>")
def page(slug: str) -> str:
    """Show a page."""
    language = get_locale().language
    shown = pages.find_page(slug, language) or abort(404)
    return render_template(
        "help/page.html",
        page=shown,
        body=Markup(shown.html),  # noqa: S704 - from our files
        related=pages.list_related(slug, language),
    )
