"""The public archives: a list, a feed, and the published letters."""

from flask import Blueprint, Response, abort, make_response, render_template
from flask.typing import ResponseReturnValue

from skymailing.archive import queries
from skymailing.archive.pages import complete_page
from skymailing.brand.queries import find_brand
from skymailing.web.ids import read_page_number
from skymailing.web.letter_pages import seal_page
from skymailing.web.urls import public_url
from skymailing.web.xml import make_xml_response

bp = Blueprint("archive", __name__, url_prefix="/archive")

FEED_LENGTH = 20


@bp.get("/<archive_slug>/")
def index(archive_slug: str) -> ResponseReturnValue:
    """List an owner's published letters, newest first."""
    archive = queries.find_public_archive(archive_slug) or abort(404)
    number = read_page_number()
    page = queries.list_public(archive.owner_id, number)
    if number > page.pages:
        abort(404)
    brand = find_brand(archive.owner)
    text = render_template("archive/index.html", archive=archive, brand=brand, page=page, number=number)
    response = make_response(text)
    return response if page.is_indexed else hide_from_search(response)


@bp.get("/<archive_slug>/feed.xml")
def feed(archive_slug: str) -> ResponseReturnValue:
    """Return the newest letters as an Atom feed (RFC 4287)."""
    archive = queries.find_public_archive(archive_slug) or abort(404)
    entries = queries.list_newest(archive.owner_id, FEED_LENGTH)
    text = render_template(
        "archive/feed.xml",
        archive=archive,
        brand=find_brand(archive.owner),
        entries=entries,
        public_url=public_url,
    )
    return make_xml_response(text, "application/atom+xml")


@bp.get("/<archive_slug>/<slug>")
def entry(archive_slug: str, slug: str) -> ResponseReturnValue:
    """Show a published letter."""
    archive, published = queries.find_public_entry(archive_slug, slug) or abort(404)
    about = {"archive": archive, "entry": published, "brand": find_brand(archive.owner)}
    head = render_template("archive/_letter_head.html", **about)
    top = render_template("archive/_letter_top.html", **about)
    response = seal_page(make_response(complete_page(published.html, head, top)))
    return response if published.is_indexed else hide_from_search(response)


def hide_from_search(response: Response) -> Response:
    response.headers["X-Robots-Tag"] = "noindex"
    return response
