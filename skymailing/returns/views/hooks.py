"""Receive mail providers' webhooks, authenticated by the secret in the URL and by their signatures."""

import hmac
import logging

from flask import Blueprint, Response, abort, request

from skymailing.clock import utcnow
from skymailing.extensions import csrf, limiter
from skymailing.returns.arrivals import Arrival
from skymailing.returns.providers.events import BadPost, Event, ForgedPost, Post
from skymailing.returns.providers.registry import READERS
from skymailing.returns.tasks import ingest_batches
from skymailing.settings.returned_mail import returned_mail_settings

logger = logging.getLogger(__name__)

bp = Blueprint("hooks", __name__, url_prefix="/hooks")
# Requests come from programs, without a session.
csrf.exempt(bp)

MAX_BODY = 2 * 1024 * 1024  # bytes; the largest batches, SendGrid's, have 768 KB


def is_rejected(response: Response) -> bool:
    """Return whether a request counts against the limit: only rejected ones do."""
    return response.status_code in (400, 403, 404)


@bp.route("/<provider>/<secret>", methods=["GET", "POST"])
@limiter.limit("60 per minute", deduct_when=is_rejected)
def receive(provider: str, secret: str) -> Response:
    """Process events; GET only confirms that the URL exists, because some providers check it."""
    settings = returned_mail_settings()
    expected = settings.webhook_secrets.get(provider, "")
    if not expected or not hmac.compare_digest(secret.encode(), expected.encode()):
        abort(404)
    if request.method == "POST":
        request.max_content_length = MAX_BODY
        key = settings.webhook_keys.get(provider, "")
        ingest_all(provider, Post(request.get_data(), dict(request.headers), utcnow(), key))
    return Response("ok\n", mimetype="text/plain")


def ingest_all(provider: str, post: Post) -> None:
    """Process the events of a request; abort if any was not stored, so that the provider repeats it."""
    arrivals = [Arrival.from_event(event, provider) for event in read_events(provider, post)]
    if None in ingest_batches(arrivals, post.now):
        abort(500)


def read_events(provider: str, post: Post) -> list[Event]:
    try:
        return READERS[provider](post)
    except ForgedPost as error:
        logger.warning("Rejected a webhook from %s: its signature is wrong. %s", provider, error)
        abort(403)
    except BadPost as error:
        logger.warning("Rejected a webhook from %s with %d bytes: %s", provider, len(post.body), error)
        abort(400)
