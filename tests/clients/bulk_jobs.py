"""Press the buttons for many clients, and read the results of their jobs."""

from datetime import timedelta
from typing import Any

from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from skymailing.clients.bulk import tasks
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import BulkJob, Tag, client_tags


def press(browser: FlaskClient, action: str, **values: Any) -> str:
    """Press a button for all clients that match; return the next page."""
    data = {"action": action, "all_matching": "1"} | values
    return browser.post("/clients/bulk", data=data, follow_redirects=True).text


def get_job(session: Session) -> BulkJob:
    session.expire_all()
    return session.scalars(select(BulkJob).order_by(BulkJob.id.desc()).limit(1)).one()


def read_page(session: Session, browser: FlaskClient) -> str:
    page = browser.get(f"/clients/bulk/{get_job(session).id}").text
    return BeautifulSoup(page, "html.parser").select_one("main").get_text(" ", strip=True)  # type: ignore[union-attr]


def undo(session: Session, browser: FlaskClient) -> str:
    return browser.post(f"/clients/bulk/{get_job(session).id}/undo", follow_redirects=True).text


def count_tagged(session: Session, name: str = "vip") -> int:
    tagged = select(func.count()).select_from(client_tags).join(Tag).where(Tag.name == name)
    return session.scalar(tagged) or 0


def count_rows(session: Session, model: Any, condition: ColumnElement[bool] | None = None) -> int:
    rows = select(func.count()).select_from(model)
    return session.scalar(rows if condition is None else rows.where(condition)) or 0


def begin(app: Flask, session: Session, chunks: int) -> None:
    """Make a worker change this many chunks and die without releasing its lease."""
    with app.app_context():
        lease = tasks.acquire_lease(get_job(session).id, utcnow())
        for _ in range(chunks):
            assert lease is not None
            lease = tasks.change_chunk(get_job(session).id, lease)
        db.session.rollback()


def lose_worker(session: Session) -> None:
    session.execute(update(BulkJob).values(lease_until=utcnow() - timedelta(seconds=1)))
