"""Test that owners can hide probable duplicates who are different people."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from skymailing.clients import distinct
from skymailing.models import Client, DistinctGroup, User, distinct_clients
from tests.support.factories import ClientFactory, UserFactory

pytestmark = pytest.mark.one_engine
URL = "/clients/duplicates"


def name(user: User, email: str, full_name: str = "Анна Ким", **values: Any) -> Client:
    return ClientFactory.create(owner=user, email=email, full_name=full_name, **values)


def parse(browser: FlaskClient) -> BeautifulSoup:
    return BeautifulSoup(browser.get(URL).text, "html.parser")


def list_groups(browser: FlaskClient) -> list[set[str]]:
    """Return the addresses of each group on the page."""
    groups = parse(browser).select(".pair-table tbody")
    return [{link.text for link in group.select("td span a")} for group in groups]


def list_buttons(browser: FlaskClient) -> list[str | None]:
    """Return the button of each group on the page that hides it, if there is one."""
    buttons = [group.select_one("button") for group in parse(browser).select(".pair-table tbody")]
    return [button.text if button else None for button in buttons]


def list_reasons(browser: FlaskClient) -> list[str | None]:
    """Return why each group on the page has no button, if there is a reason."""
    notes = [group.select_one(".pair-note") for group in parse(browser).select(".pair-table tbody")]
    return [note.get_text(strip=True).partition(".")[0] if note else None for note in notes]


def delete_client(browser: FlaskClient, client_id: int) -> str:
    """Delete a client, and return the URL that undoes this."""
    page = browser.post(f"/clients/{client_id}/delete", follow_redirects=True).text
    undo = BeautifulSoup(page, "html.parser").select_one("form[action*='/clients/undo/']")
    assert undo is not None
    return str(undo["action"])


def hide_first(browser: FlaskClient) -> str:
    """Press the button of the first group, and return the next page."""
    form = parse(browser).select_one(f"form[action='{URL}/distinct']")
    assert form is not None
    ids = [field["value"] for field in form.select("[name=clients]")]
    return browser.post(f"{URL}/distinct", data={"clients": ids}, follow_redirects=True).text


@pytest.mark.both_engines
def test_a_hidden_group_stays_hidden_until_another_client_joins_it(browser: FlaskClient, user: User) -> None:
    for number in range(3):
        name(user, f"anna{number}@x.com")
    assert list_groups(browser) == [{"anna0@x.com", "anna1@x.com", "anna2@x.com"}]
    assert "All are different" in browser.get(URL).text

    assert "These clients are no longer listed." in hide_first(browser)
    assert list_groups(browser) == []

    name(user, "anna3@x.com", "АННА  КИМ")
    assert list_groups(browser) == [{f"anna{number}@x.com" for number in range(4)}]
    hide_first(browser)
    assert list_groups(browser) == []


@pytest.mark.both_engines
def test_only_that_group_is_hidden(browser: FlaskClient, user: User) -> None:
    name(user, "anna@x.com", attributes={"phone": "+7 900 123-45-67"})
    name(user, "anna2@x.com")
    name(user, "boris@x.com", "Борис", attributes={"phone": "8 900 123-45-67"})
    assert list_groups(browser) == [{"boris@x.com", "anna@x.com"}, {"anna@x.com", "anna2@x.com"}]
    page = hide_first(browser)
    assert "Not the same" in page
    assert list_groups(browser) == [{"anna@x.com", "anna2@x.com"}]


def test_many_hidden_groups_do_not_keep_others_from_being_found(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.clients.duplicates.MAX_PAIRS", 1)
    monkeypatch.setattr("skymailing.clients.duplicates.HIDDEN_BY_ONE", 1)
    for number in range(6):
        name(user, f"one{number}@x.com", f"Name {number // 2}")
    for _number in range(3):
        assert len(list_groups(browser)) == 1
        hide_first(browser)
    assert list_groups(browser) == []


@pytest.mark.both_engines
def test_hiding_can_be_undone_at_once_and_later(browser: FlaskClient, session: Session, user: User) -> None:
    name(user, "anna@x.com")
    name(user, "anna2@x.com")
    page = hide_first(browser)
    group_id = session.scalars(select(DistinctGroup.id)).one()
    assert page.count(f'action="{URL}/distinct/{group_id}/undo"') == 2, "in the notification and in the list"

    browser.post(f"{URL}/distinct/{group_id}/undo")

    assert list_groups(browser) == [{"anna@x.com", "anna2@x.com"}]
    assert session.scalar(select(func.count()).select_from(distinct_clients)) == 0


def test_hiding_a_group_twice_stores_it_once(browser: FlaskClient, session: Session, user: User) -> None:
    ids = [name(user, f"anna{number}@x.com").id for number in range(2)]
    for _time in range(2):
        browser.post(f"{URL}/distinct", data={"clients": ids})
    assert session.scalar(select(func.count()).select_from(DistinctGroup)) == 1


@pytest.mark.both_engines
def test_a_restored_client_is_in_its_group_again(browser: FlaskClient, session: Session, user: User) -> None:
    clients = [name(user, f"anna{number}@x.com") for number in range(2)]
    hide_first(browser)
    undo = delete_client(browser, clients[0].id)
    assert session.scalar(select(func.count()).select_from(distinct_clients)) == 1

    browser.post(undo)

    assert session.scalar(select(func.count()).select_from(distinct_clients)) == 2
    assert list_groups(browser) == []


def test_clients_of_others_and_single_clients_are_not_stored(
    browser: FlaskClient, session: Session, user: User
) -> None:
    foreign = [name(UserFactory.create(), "anna@x.com"), name(UserFactory.create(), "anna2@x.com")]
    own = name(user, "anna@x.com")
    for clients in (foreign, [own, foreign[0]], [own, own], []):
        data = {"clients": [client.id for client in clients]}
        page = browser.post(f"{URL}/distinct", data=data, follow_redirects=True).text
        assert "The client has just been deleted." in page
    assert session.scalar(select(func.count()).select_from(DistinctGroup)) == 0


def test_groups_without_clients_make_room_for_others(
    browser: FlaskClient, session: Session, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "MAX_GROUPS", 1)
    clients = [name(user, f"anna{number}@x.com") for number in range(4)]
    browser.post(f"{URL}/distinct", data={"clients": [client.id for client in clients[:2]]})
    data = {"clients": [client.id for client in clients[2:]]}
    page = browser.post(f"{URL}/distinct", data=data, follow_redirects=True).text
    assert "You can hide up to 1 groups of clients." in page

    session.delete(clients[0])
    session.flush()
    browser.post(f"{URL}/distinct", data=data)

    stored = session.scalars(select(distinct_clients.c.client_id)).all()
    assert sorted(stored) == sorted(data["clients"])


@pytest.mark.both_engines
def test_a_group_hides_no_pair_that_it_does_not_show(browser: FlaskClient, user: User) -> None:
    for number in range(2):
        name(user, f"anna{number}@x.com", attributes={"phone": "+7 900 123-45-67"})
    name(user, "anna2@x.com")
    phone, everyone = {"anna0@x.com", "anna1@x.com"}, {f"anna{number}@x.com" for number in range(3)}
    assert list_groups(browser) == [phone, everyone]
    assert list_buttons(browser) == ["Not the same", None]
    assert list_reasons(browser) == [None, "Some of these clients are also in a smaller group"]

    hide_first(browser)

    assert list_groups(browser) == [everyone]
    assert list_buttons(browser) == ["All are different"]
    hide_first(browser)
    assert list_groups(browser) == []


def test_a_group_with_a_pair_of_another_one_is_hidden_after_it(browser: FlaskClient, user: User) -> None:
    name(user, "boris@x.com", "Борис", attributes={"phone": "+7 900 123-45-67"})
    name(user, "anna0@x.com")
    name(user, "anna1@x.com", attributes={"phone": "+7 900 123-45-67"})
    name(user, "anna2@x.com", attributes={"phone": "+7 900 123-45-67"})
    phone = {"boris@x.com", "anna1@x.com", "anna2@x.com"}
    assert list_groups(browser) == [phone, {"anna0@x.com", "anna2@x.com"}]
    assert list_buttons(browser) == ["All are different", None]
    assert list_reasons(browser) == [None, "Some pairs of this group are listed before it"]

    hide_first(browser)

    assert list_groups(browser) == [{"anna0@x.com", "anna1@x.com", "anna2@x.com"}]
    assert list_buttons(browser) == ["All are different"]


def test_the_last_group_on_the_page_is_complete(
    browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skymailing.clients.duplicates.MAX_PAIRS", 2)
    for number in range(4):
        name(user, f"anna{number}@x.com")
    assert list_groups(browser) == [{f"anna{number}@x.com" for number in range(4)}]
    hide_first(browser)
    assert list_groups(browser) == []


@pytest.mark.both_engines
def test_a_restored_client_does_not_join_a_later_group(
    browser: FlaskClient, session: Session, user: User
) -> None:
    """SQLite reuses the largest ID of most tables."""
    first, second = (name(user, f"anna{number}@x.com") for number in range(2))
    hide_first(browser)
    group_id = session.scalars(select(DistinctGroup.id)).one()
    undo = delete_client(browser, first.id)
    browser.post(f"{URL}/distinct/{group_id}/undo")
    third = name(user, "anna2@x.com")
    hide_first(browser)

    browser.post(undo)

    members = set(session.scalars(select(distinct_clients.c.client_id)))
    assert members == {second.id, third.id}
    assert list_groups(browser) == [{f"anna{number}@x.com" for number in range(3)}]


def test_an_earlier_decision_is_not_undone(browser: FlaskClient, session: Session, user: User) -> None:
    """A tab may still show a group that another one has hidden together with more clients."""
    ids = [name(user, f"anna{number}@x.com").id for number in range(3)]
    browser.post(f"{URL}/distinct", data={"clients": ids}, follow_redirects=True)
    page = browser.post(f"{URL}/distinct", data={"clients": ids[:2]}, follow_redirects=True).text
    assert "These clients are no longer listed." in page
    assert BeautifulSoup(page, "html.parser").select(".flash form") == []
    assert session.scalar(select(func.count()).select_from(distinct_clients)) == 3


def test_all_hidden_groups_can_be_listed_again(browser: FlaskClient, session: Session, user: User) -> None:
    ids = [[name(user, f"{letter}{number}@x.com").id for letter in "ab"] for number in range(52)]
    leftovers = [DistinctGroup(owner_id=user.id) for _number in range(60)]
    hidden = [DistinctGroup(owner_id=user.id) for _number in range(52)]
    for groups in (hidden, leftovers):
        session.add_all(groups)
        session.flush()
    pairs = zip(hidden, ids, strict=True)
    rows = [{"group_id": group.id, "client_id": id} for group, clients in pairs for id in clients]
    session.execute(insert(distinct_clients), rows)

    first = parse(browser)
    link = first.select_one(".hidden-groups a[rel=next]")
    assert link is not None
    assert first.select(".hidden-groups[open]") == []
    second = BeautifulSoup(browser.get(str(link["href"])).text, "html.parser")

    assert len(second.select(".hidden-groups[open] li")) == 2
    listed = {str(form["action"]) for page in (first, second) for form in page.select(".hidden-groups form")}
    assert listed == {f"{URL}/distinct/{group.id}/undo" for group in hidden}
