"""Check links in a thread of a worker that runs alongside its jobs: letters do not wait for slow sites."""

import logging
import threading

from flask import Flask, current_app
from sqlalchemy import update

from skymailing import worker
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.link_checks import services
from skymailing.link_checks.fetching import check_links
from skymailing.models import LinkCheck
from skymailing.web.urls import public_url

logger = logging.getLogger(__name__)

_serving: dict[str, threading.Thread] = {}
_starting = threading.Lock()


def serve_in_background() -> None:
    """Perform the waiting checks in a thread of this process, unless one does it already."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy
    with _starting:
        running = _serving.get("thread")
        if running is None or not running.is_alive():
            thread = threading.Thread(target=_serve, args=[app], name="link-checks", daemon=True)
            _serving["thread"] = thread
            thread.start()


def wait_until_served(seconds: float) -> None:
    """Wait for the thread of this process, if there is one."""
    if thread := _serving.get("thread"):
        thread.join(seconds)


def _serve(app: Flask) -> None:
    with app.app_context():
        try:
            while not worker.stop_is_requested() and run_next():
                pass
        except Exception:  # the sweep starts it again
            logger.exception("link checks: a check has failed")


def run_next() -> bool:
    """Perform the check that has waited longest; return whether there was one."""
    check = services.find_next(utcnow())
    if check is None:
        db.session.rollback()
        return False
    check.started_at = utcnow()
    check_id, urls = check.id, [link["url"] for link in check.links]
    db.session.commit()  # no transaction is open while sites respond
    user_agent = f"SkyMailing-LinkCheck (+{public_url('home.index')})"
    links = check_links(urls, current_app.config["WEBHOOKS_PRIVATE_NETWORKS"], user_agent)
    finished = update(LinkCheck).where(LinkCheck.id == check_id)
    db.session.execute(finished.values(links=links, finished_at=utcnow()))
    db.session.commit()
    return True
