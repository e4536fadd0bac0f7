"""Test that changes of clients cannot deadlock with other changes at the same moment.

The races need two open transactions, which only PostgreSQL has.
"""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.bulk import tasks
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import BulkJob, Tag
from tests.clients.bulk_jobs import count_tagged, get_job, press
from tests.support.windows import Window, transaction

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.mark.usefixtures("small", "clients")
def test_an_action_cannot_deadlock_with_the_deletion_of_its_tag(
    app: Flask, session: Session, browser: FlaskClient
) -> None:
    """Deleting a tag locks it, then the jobs that refer to it."""
    press(browser, "tag", value="vip")
    job_id = get_job(session).id

    def change() -> bool:
        with app.app_context():
            lease = tasks.acquire_lease(job_id, utcnow())
            assert lease is not None
            is_changed = tasks.change_chunk(job_id, lease) is not None
            db.session.rollback()
            return is_changed

    with transaction(app) as deleting:
        deleting.execute(select(Tag.id).with_for_update())
        window = Window(change)
        window.wait_for_lock()
        deleting.execute(select(BulkJob.id).where(BulkJob.id == job_id).with_for_update())
    assert window.finish() is True
    assert count_tagged(session) == 3
