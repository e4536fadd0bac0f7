"""Test actions on many clients of the list: their effect, their undo, and which clients they affect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Client, Segment, Suppression, SuppressionReason, Tag, User, client_tags
from tests.clients.pages import find_undo_url
from tests.support.factories import ClientFactory, SuppressionFactory, UserFactory

Act = Callable[..., str]


@pytest.fixture
def people(session: Session, user: User) -> dict[str, Client]:
    """Create three clients, one of whom has unsubscribed, and another user's client."""
    user.attribute_types = {"city": "text"}
    people = {
        name: ClientFactory.create(owner=user, email=f"{name}@example.org", attributes={"city": city})
        for name, city in (("anna", "Омск"), ("boris", "Омск"), ("clara", "Томск"))
    }
    people["other"] = ClientFactory.create(owner=UserFactory.create(), email="other@example.org")
    SuppressionFactory.create(
        owner_id=user.id, email_key="boris@example.org", reason=SuppressionReason.UNSUBSCRIBED
    )
    session.flush()
    return people


@pytest.fixture
def act(browser: FlaskClient) -> Act:
    """Return a function that presses a button of the list and returns the next page."""

    def press(action: str, **values: Any) -> str:
        data = {"action": action} | values
        return browser.post("/clients/bulk", data=data, follow_redirects=True).text

    return press


def undo(browser: FlaskClient, page: str) -> str:
    return browser.post(find_undo_url(page), follow_redirects=True).text


def find_tagged(session: Session, name: str) -> set[str]:
    rows = session.execute(
        select(Client.email)
        .join(client_tags, client_tags.c.client_id == Client.id)
        .join(Tag, Tag.id == client_tags.c.tag_id)
        .where(Tag.name_key == name.lower())
    )
    return {row.email.partition("@")[0] for row in rows}


def find_suppressed(session: Session) -> dict[str, str]:
    rows = session.execute(select(Suppression.email_key, Suppression.reason))
    return {row.email_key.partition("@")[0]: row.reason.value for row in rows}


def test_ticked_clients_are_tagged_and_untagged_and_both_can_be_undone(
    session: Session, browser: FlaskClient, people: dict[str, Client], act: Act
) -> None:
    ids = [people["anna"].id, people["other"].id, "x", "9" * 30]
    page = act("tag", ids=ids, value=" VIP ")
    assert "1 client tagged." in page
    assert find_tagged(session, "vip") == {"anna"}
    assert "0 clients tagged." in act("tag", ids=ids, value="vip")
    page = act("untag", all_matching="1", value="Vip")
    assert "removed from 1 client" in page
    assert find_tagged(session, "vip") == set()
    assert "Undone for 1 client." in undo(browser, page)
    assert find_tagged(session, "vip") == {"anna"}
    page = act("tag", all_matching="1", value="vip")
    assert find_tagged(session, "vip") == {"anna", "boris", "clara"}
    assert "Undone for 2 clients." in undo(browser, page)
    assert find_tagged(session, "vip") == {"anna"}
    page = act("tag", all_matching="1", value="vip")
    act("untag", all_matching="1", value="vip")
    assert "Nothing to undo" in undo(browser, page)


def test_an_action_on_all_matches_affects_the_listed_clients(
    session: Session, user: User, people: dict[str, Client], act: Act
) -> None:
    segment = Segment(
        owner_id=user.id,
        name="Omsk",
        conditions={"field": "attribute.city", "op": "equals", "value": "Омск"},
    )
    broken = Segment(owner_id=user.id, name="x", conditions={"field": "tag", "op": "is_not", "value": "y"})
    session.add_all([segment, broken])
    session.flush()
    act("tag", all_matching="1", segment=segment.id, value="a")
    assert find_tagged(session, "a") == {"anna", "boris"}
    act("tag", all_matching="1", status="unsubscribed", value="b")
    assert find_tagged(session, "b") == {"boris"}
    act("tag", all_matching="1", q="CLARA", value="c")
    assert find_tagged(session, "c") == {"clara"}
    act("tag", all_matching="1", tag="a", status="mailable", value="d")
    assert find_tagged(session, "d") == {"anna"}
    for nothing in ({"segment": broken.id}, {"segment": 10**6}, {"tag": "gone"}):
        act("tag", all_matching="1", value="e", **nothing)
    assert find_tagged(session, "e") == set()


def test_mailings_can_be_stopped_and_resumed_except_for_unsubscribed_clients(
    session: Session, browser: FlaskClient, people: dict[str, Client], act: Act
) -> None:
    page = act("suppress", all_matching="1")
    assert "2 clients no longer get mailings." in page
    assert find_suppressed(session) == {"anna": "manual", "boris": "unsubscribed", "clara": "manual"}
    assert "Undone for 2 clients." in undo(browser, page)
    assert find_suppressed(session) == {"boris": "unsubscribed"}
    act("suppress", ids=[people["anna"].id])
    page = act("allow", all_matching="1")
    assert "1 client gets mailings again." in page
    assert find_suppressed(session) == {"boris": "unsubscribed"}
    act("suppress", ids=[people["clara"].id])
    assert "Undone for 1 client." in undo(browser, page)
    assert find_suppressed(session) == {"anna": "manual", "boris": "unsubscribed", "clara": "manual"}
    page = act("allow", all_matching="1")
    act("suppress", all_matching="1")
    assert "Nothing to undo" in undo(browser, page)


def test_undoing_a_resumption_restores_each_suppression_unchanged(
    session: Session, browser: FlaskClient, people: dict[str, Client], act: Act
) -> None:
    since = utcnow() - timedelta(days=30)
    for name in ("anna", "clara"):
        SuppressionFactory.create(
            owner_id=people[name].owner_id,
            email_key=people[name].email_key,
            reason=SuppressionReason.MANUAL,
            note="asked by phone",
            created_at=since,
        )
    url = find_undo_url(act("allow", all_matching="1"))
    assert find_suppressed(session) == {"boris": "unsubscribed"}
    session.execute(delete(Client).where(Client.id == people["clara"].id))
    browser.post(url)
    manual = Suppression.reason == SuppressionReason.MANUAL
    rows = session.execute(
        select(Suppression.email_key, Suppression.note, Suppression.created_at).where(manual)
    )
    assert sorted(rows.tuples()) == [
        (f"{name}@example.org", "asked by phone", since) for name in ("anna", "clara")
    ]


def test_an_export_has_the_chosen_clients_only(people: dict[str, Client], act: Act) -> None:
    assert "anna@" in (table := act("export", ids=[people["anna"].id, people["other"].id]))
    assert len(table.splitlines()) == 2
    table = act("export", all_matching="1", status="unsubscribed")
    assert "boris@" in table
    assert len(table.splitlines()) == 2


def test_an_action_without_clients_or_with_a_bad_tag_changes_nothing(
    session: Session, browser: FlaskClient, people: dict[str, Client], act: Act
) -> None:
    assert "Select clients first." in act("tag", value="vip")
    assert "characters" in act("tag", all_matching="1", value="x" * 101)
    assert "does not exist" in act("untag", all_matching="1", value="nothing")
    assert browser.post("/clients/bulk", data={"action": "drop", "ids": "1"}).status_code == 400
    assert session.scalars(select(Tag)).all() == []
    assert browser.post("/clients/bulk/undo/1").status_code == 404


def test_the_list_shows_its_filters_and_explains_why_a_segment_is_empty(
    session: Session, user: User, browser: FlaskClient, people: dict[str, Client]
) -> None:
    broken = Segment(
        owner_id=user.id, name="Retail", conditions={"field": "tag", "op": "is_not", "value": "gone"}
    )
    session.add(broken)
    session.flush()
    page = browser.get(f"/clients/?segment={broken.id}").text
    assert "The tag “gone” does not exist" in page
    page = browser.get("/clients/?status=unsubscribed").text
    assert "boris@example.org" in page
    assert "anna@example.org" not in page
    assert '<option value="unsubscribed" selected>' in page
    assert "anna@example.org" in browser.get("/clients/?status=nonsense&segment=x").text


def test_undoing_restores_a_removed_tag_even_if_it_has_been_renamed(
    session: Session, browser: FlaskClient, people: dict[str, Client], act: Act
) -> None:
    act("tag", ids=[people["anna"].id], value="vip")
    undo_url = find_undo_url(act("untag", all_matching="1", value="vip"))
    session.execute(update(Tag).values(name="loyal", name_key="loyal"))
    browser.post(undo_url)
    assert find_tagged(session, "loyal") == {"anna"}
    undo_url = find_undo_url(act("untag", all_matching="1", value="loyal"))
    session.execute(delete(Tag))
    assert "cannot be undone" in browser.post(undo_url, follow_redirects=True).text
    assert session.scalars(select(Tag)).all() == []


def test_undoing_does_not_lift_a_suppression_that_was_added_again(
    session: Session, browser: FlaskClient, people: dict[str, Client], act: Act
) -> None:
    undo_url = find_undo_url(act("suppress", ids=[people["anna"].id, people["clara"].id]))
    browser.post("/clients/suppressions/add", data={"addresses": "anna@example.org"})
    browser.post(undo_url)
    assert find_suppressed(session) == {"anna": "manual", "boris": "unsubscribed"}
