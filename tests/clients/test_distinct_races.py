"""Test that hiding duplicates is safe while other windows change the same clients and groups.

The races need two open transactions, which only PostgreSQL has.
"""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from skymailing.clients import distinct
from skymailing.models import Client, DistinctGroup, User
from tests.clients.test_distinct import URL, delete_client, hide_first, list_groups, name
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


def test_two_windows_store_a_group_once(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    ids = [name(user, f"anna{number}@x.com").id for number in range(2)]
    session.commit()
    with transaction(app) as other:
        other.execute(select(Client.id).where(Client.id.in_(ids)).with_for_update())
        windows = [make_posting_window(browser, f"{URL}/distinct", {"clients": ids}) for _window in range(2)]
        for window in windows:
            window.wait_for_lock()
    assert [window.finish().status_code for window in windows] == [302, 302]
    assert session.scalar(select(func.count()).select_from(DistinctGroup)) == 1


def test_two_windows_cannot_hide_more_groups_than_allowed(
    app: Flask, session: Session, user: User, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "MAX_GROUPS", 1)
    ids = [name(user, f"anna{number}@x.com").id for number in range(4)]
    session.commit()
    with transaction(app) as other:
        other.execute(select(Client.id).where(Client.id.in_(ids)).with_for_update())
        windows = [
            make_posting_window(browser, f"{URL}/distinct", {"clients": clients})
            for clients in (ids[:2], ids[2:])
        ]
        for window in windows:
            window.wait_for_lock()
    assert [window.finish().status_code for window in windows] == [302, 302]
    assert session.scalar(select(func.count()).select_from(DistinctGroup)) == 1


def test_a_client_is_restored_while_the_group_is_listed_again(
    app: Flask, session: Session, user: User, browser: FlaskClient
) -> None:
    clients = [name(user, f"anna{number}@x.com") for number in range(2)]
    hide_first(browser)
    undo = delete_client(browser, clients[0].id)
    session.commit()
    with transaction(app) as listing:
        listing.execute(delete(DistinctGroup))
        window = make_posting_window(browser, undo, {})
        window.wait_for_lock()
    assert window.finish().status_code == 302
    assert list_groups(browser) == [{"anna0@x.com", "anna1@x.com"}]
