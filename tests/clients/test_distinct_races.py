"""Test that hiding duplicates is safe while other windows change the same clients and groups.

The races need two open transactions, which only PostgreSQL has.
"""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Client, User
from tests.clients.test_distinct import URL, name
from tests.support.windows import make_posting_window, transaction

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_hiding_clients_cannot_deadlock_with_their_deletion(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    """Deletions lock clients in the order of their addresses."""
    last, first = (name(user, email).id for email in ("z@x.com", "b@x.com"))
    session.commit()
    with transaction(app) as deleting:
        deleting.execute(select(Client.id).where(Client.id == first).with_for_update())
        window = make_posting_window(browser, f"{URL}/distinct", {"clients": [last, first]})
        window.wait_for_lock()
        deleting.execute(select(Client.id).where(Client.id == last).with_for_update())
    assert window.finish().status_code == 302
