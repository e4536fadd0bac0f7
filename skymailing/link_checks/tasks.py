"""Check links in a thread that runs alongside a worker's jobs, so that letters do not wait for slow sites."""

from flask import current_app
from sqlalchemy import update

from skymailing import worker
from skymailing.background import BackgroundTask
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.link_checks import services
from skymailing.link_checks.fetching import check_links
from skymailing.models import LinkCheck
from skymailing.web.urls import public_url


def run_waiting() -> None:
    """Perform the waiting checks, one after the other."""
    while not worker.stop_is_requested() and run_next():
        pass


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


SERVING = BackgroundTask("checking links", run_waiting)
