"""The Atom feed, the sitemap and robots.txt."""

from flask import Blueprint, Response, render_template
from flask_babel import force_locale, get_locale

from skymailing.archive.queries import list_indexed
from skymailing.blog import queries
from skymailing.blog.content_cache import render_body_cached
from skymailing.blog.views.articles import read_language
from skymailing.clock import utcnow
from skymailing.help.pages import list_slugs as list_help_slugs
from skymailing.web.picture_files import parse_name
from skymailing.web.urls import public_url
from skymailing.web.xml import make_xml_response

bp = Blueprint("syndication", __name__)

FEED_LENGTH = 20
SITEMAP_LENGTH = 49_000  # the protocol's limit is 50,000 URLs
PRIVATE_PATHS = (
    *("/auth/", "/brand/", "/clients/", "/domains/", "/forms/", "/go/", "/language", "/letters/", "/logs/"),
    *("/mailings/", "/manager/", "/messages/", "/reports/", "/segments/", "/senders/", "/sequences/"),
    *("/topics/", "/webhooks/"),
)
# Allowed, because the longest rule wins, but only without arguments, such as `next`.
ACCOUNT_FORMS = ("/auth/login", "/auth/register")
LETTER_LINKS = ("/u/", "/v/", "/c/", "/o/")


@bp.get("/blog/feed.atom")
def feed() -> Response:
    """Return the newest articles as an Atom feed (RFC 4287): all, or those in one language."""
    chosen_language = read_language()
    articles = queries.list_newest(utcnow(), FEED_LENGTH, chosen_language)
    bodies = {article.id: render_body_cached(article.format.value, article.body) for article in articles}
    pictures = {article.id: parse_name(article.image) for article in articles}
    with force_locale(chosen_language or get_locale()):
        text = render_template(
            "blog/feed.xml",
            articles=articles,
            bodies=bodies,
            pictures=pictures,
            chosen_language=chosen_language or None,
            public_url=public_url,
        )
    return make_xml_response(text, "application/atom+xml")


@bp.get("/sitemap.xml")
def sitemap() -> Response:
    """Return the sitemap: the URLs of all public pages."""
    articles = queries.list_slugs(utcnow(), SITEMAP_LENGTH)
    letters = list_indexed(SITEMAP_LENGTH - len(articles))
    text = render_template(
        "blog/sitemap.xml",
        help_slugs=list_help_slugs(),
        articles=articles,
        letters=letters,
        public_url=public_url,
    )
    return make_xml_response(text, "application/xml")


@bp.get("/robots.txt")
def robots() -> Response:
    """Point crawlers to the sitemap and exclude private pages."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in (*PRIVATE_PATHS, *LETTER_LINKS))]
    lines += [f"Allow: {path}$" for path in ACCOUNT_FORMS]
    lines.append(f"Sitemap: {public_url('syndication.sitemap')}")
    return Response("\n".join(lines) + "\n", mimetype="text/plain")
