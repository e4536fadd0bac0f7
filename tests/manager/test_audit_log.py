"""Test the audit log in the panel."""

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.manager import queries
from skymailing.models import Role, User
from tests.conftest import SignIn
from tests.support.factories import MailingFactory, UserFactory


def count_lines(browser: FlaskClient, **query: str) -> int:
    return browser.get("/manager/audit/", query_string=query).text.count("<tr>") - 1


def test_administrators_see_all_entries_and_managers_their_own(
    session: Session, sign_in: SignIn, user: User
) -> None:
    anna, boris = (
        UserFactory.create(role=Role.MANAGER, email=f"{name}@example.com") for name in ("anna", "boris")
    )
    first, second = sign_in(anna), sign_in(boris)
    mailing = MailingFactory.create()
    first.post("/manager/users/block", data={"id": user.id, "reason": "spam"})
    second.post("/manager/mailings/disable", data={"id": mailing.id, "reason": "complaints"})
    administrator = sign_in(UserFactory.create(role=Role.ADMIN))

    assert (count_lines(first), count_lines(second), count_lines(administrator)) == (1, 1, 2)
    assert "complaints" not in first.get("/manager/audit/").text
    assert count_lines(administrator, action="user-blocked") == 1
    assert count_lines(administrator, q="boris") == 1
    assert count_lines(administrator, q=mailing.name) == 1
    assert count_lines(administrator, since="2030-01-01") == -1
    assert "127.0.0.1" in administrator.get("/manager/audit/").text
    assert "spam" in administrator.get("/manager/").text


@pytest.mark.both_engines
def test_a_search_continues_in_older_entries(
    sign_in: SignIn, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SEARCHED_ENTRIES", 3)
    administrator = sign_in(UserFactory.create(role=Role.ADMIN))
    other = UserFactory.create(email="other@example.com")
    administrator.post("/manager/users/block", data={"id": other.id, "reason": "spam"})
    for action in ("block", "unblock") * 4:
        administrator.post(f"/manager/users/{action}", data={"id": user.id, "reason": "spam"})

    empty_pages, address = 0, "/manager/audit/?q=other@example.com"
    while "<tr>" not in (found := administrator.get(address).text):
        empty_pages += 1
        (link,) = BeautifulSoup(found, "html.parser").select("main p a[href*=cursor]")
        address = str(link["href"])
    assert empty_pages == 2
    assert "other@example.com" in found
    assert not BeautifulSoup(found, "html.parser").select("main a[href*=cursor]")
    nothing = administrator.get("/manager/audit/?q=other@example.com&since=2030-01-01").text
    assert "Search older entries" not in nothing


def test_the_audit_log_cannot_be_changed(sign_in: SignIn, session: Session) -> None:
    administrator = sign_in(UserFactory.create(role=Role.ADMIN))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert administrator.open("/manager/audit/", method=method).status_code == 405
