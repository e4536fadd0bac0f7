"""Test the client picker with several searches, with and without JavaScript."""

from collections.abc import Collection
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.mailings import selection
from skymailing.models import (
    Audience,
    Mailing,
    User,
    mailing_clients,
)
from tests.mailings.pages import format_local, get_main_text, get_value, mailing_fields, soup
from tests.support.factories import (
    ClientFactory,
    MailingFactory,
    MessageFactory,
    SuppressionFactory,
    create_clients,
)


def read_selected_ids(session: Session) -> set[int]:
    return set(session.scalars(select(mailing_clients.c.client_id)))


def test_clients_can_be_selected_in_several_searches_without_javascript(
    browser: FlaskClient, user: User, session: Session
) -> None:
    anna = ClientFactory.create(owner=user, full_name="Анна Белова")
    boris = ClientFactory.create(owner=user, full_name="Boris", email="boris@example.org")
    others = create_clients(user, 3)
    fields = mailing_fields(MessageFactory.create(owner=user), name="Kept", audience="selected")

    step = browser.post("/mailings/new", data=fields | {"client_query": "анна", "pick": "search"})
    boxes = soup(step).select("input[type=checkbox][name=clients]")
    assert [box["value"] for box in boxes] == [str(anna.id)]
    assert 'value="Kept"' in step.text

    step = browser.post(
        "/mailings/new",
        data=fields | {"client_query": "BORIS@", "pick": "search", "clients": [anna.id]},
    )
    kept = [field["value"] for field in soup(step).select("input[type=hidden][name=clients]")]
    assert kept == [str(anna.id)]
    assert session.scalar(select(Mailing.id)) is None

    browser.post("/mailings/new", data=fields | {"client_query": "BORIS@", "clients": [*kept, boris.id]})
    assert read_selected_ids(session) == {anna.id, boris.id}
    assert not read_selected_ids(session) & {other.id for other in others}


def test_enter_does_not_save(browser: FlaskClient, user: User, session: Session) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user), name="Typed")
    step = soup(browser.post("/mailings/new", data=fields | {"pick": "stay"}))
    first = step.select("#mailing-form button[type=submit]")[0]
    assert (first["name"], first["value"]) == ("pick", "stay")
    assert [radio["value"] for radio in step.select("input[name=audience][checked]")] == ["all"]
    assert session.scalar(select(Mailing.id)) is None


def test_one_button_selects_all_matches(browser: FlaskClient, user: User, session: Session) -> None:
    fair = [ClientFactory.create(owner=user, full_name=f"Fair {n}") for n in range(60)]
    create_clients(user, 5)
    ClientFactory.create(full_name="Fair by someone else")
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected", client_query="fair")
    step = browser.post("/mailings/new", data=fields | {"pick": "all"})
    assert "60 selected" in get_main_text(step)
    page = soup(step)
    ticked = [box["value"] for box in page.select("input[type=checkbox][name=clients][checked]")]
    hidden = [field["value"] for field in page.select("input[type=hidden][name=clients]")]
    assert len(ticked) == 50
    browser.post("/mailings/new", data=fields | {"clients": ticked + hidden})
    assert read_selected_ids(session) == {client.id for client in fair}
    assert "0 selected" in get_main_text(
        browser.post("/mailings/new", data=fields | {"clients": hidden, "pick": "none"})
    )


def list_submitted(step: TestResponse, *, without: Collection[int] = ()) -> list[str]:
    """Return the client values that the page would submit, with some boxes unchecked."""
    page = soup(step)
    ticked = page.select("input[type=checkbox][name=clients][checked]")
    hidden = page.select("input[type=hidden][name=clients]")
    values = [str(field["value"]) for field in [*hidden, *ticked]]
    return [value for value in values if value not in {str(client_id) for client_id in without}]


def test_some_matches_can_be_excluded(browser: FlaskClient, user: User, session: Session) -> None:
    fair = [ClientFactory.create(owner=user, full_name=f"Fair {n}") for n in range(55)]
    other = ClientFactory.create(owner=user, full_name="Lone")
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected")
    url = "/mailings/new"
    step = browser.post(url, data=fields | {"client_query": "fair", "pick": "all"})
    excluded = {fair[3].id, fair[7].id}
    kept = list_submitted(step, without=excluded)
    # A different search and selection in between do not change this.
    step = browser.post(url, data=fields | {"clients": kept, "client_query": "other", "pick": "search"})
    kept = [*list_submitted(step), str(other.id)]
    assert "53 selected" in get_main_text(
        browser.post(url, data=fields | {"clients": list_submitted(step), "pick": "chosen"})
    )

    browser.post(url, data=fields | {"clients": kept})
    assert read_selected_ids(session) == {client.id for client in fair} - excluded | {other.id}

    # “Select all matches” also selects clients that were excluded before.
    step = browser.post(url, data=fields | {"clients": kept, "client_query": fair[3].email, "pick": "all"})
    assert "55 selected" in get_main_text(step)


def test_a_large_selection_can_be_changed_without_listing_it_in_the_form(
    browser: FlaskClient, user: User, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MAX_LISTED_IDS", 3)
    clients = create_clients(user, 60)
    message = MessageFactory.create(owner=user)
    chosen = [client.id for client in clients[:55]]
    browser.post("/mailings/new", data=mailing_fields(message, audience="selected", clients=chosen))
    mailing = session.scalars(select(Mailing)).one()
    url = f"/mailings/{mailing.id}/edit"

    form = browser.get(url)
    values = list_submitted(form, without={chosen[0]})
    assert f"saved:{mailing.id}" in values
    fields = mailing_fields(message, audience="selected", ends_at=get_value(form, "ends_at"))
    browser.post(url, data=fields | {"clients": [*values, clients[58].id]})

    assert read_selected_ids(session) == {*chosen[1:], clients[58].id}


def test_selecting_all_matches_twice_selects_each_client_once(
    browser: FlaskClient, user: User, session: Session
) -> None:
    create_clients(user, 5)
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected", clients="match:")
    fields["opened_at"] = get_value(browser.get("/mailings/new"), "opened_at")
    first, second = (browser.post("/mailings/new", data=fields) for _ in range(2))
    assert first.location == second.location
    assert len(read_selected_ids(session)) == 5


def test_another_owners_clients_are_not_revealed(browser: FlaskClient, user: User, session: Session) -> None:
    own = ClientFactory.create(owner=user)
    foreign = MailingFactory.create(audience=Audience.SELECTED)
    foreign_client = ClientFactory.create(owner=foreign.owner)
    session.execute(mailing_clients.insert().values(mailing_id=foreign.id, client_id=foreign_client.id))
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected")
    step = browser.post("/mailings/new", data=fields | {"clients": f"saved:{foreign.id}", "pick": "chosen"})
    assert "0 selected" in get_main_text(step)
    assert foreign_client.email not in step.text
    browser.post("/mailings/new", data=fields | {"clients": [own.id, f"saved:{foreign.id}"]})
    mailing = session.scalars(select(Mailing).where(Mailing.owner_id == user.id)).one()
    assert set(
        session.scalars(select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id))
    ) == {own.id}


def test_typing_a_search_returns_only_the_results(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(owner=user, full_name="Anna")
    fields = mailing_fields(MessageFactory.create(owner=user), client_query="ann", pick="search")
    step = browser.post("/mailings/new", data=fields, headers={"HX-Target": "picker-results"})
    assert "Anna" in step.text
    assert "<html" not in step.text


def test_matches_are_paginated(browser: FlaskClient, user: User) -> None:
    clients = create_clients(user, 55)
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected")
    data = fields | {"pick": "more", "shown_until": str(clients[49].id), "clients": [clients[0].id]}
    step = soup(browser.post("/mailings/new", data=data))
    values = [box["value"] for box in step.select("input[type=checkbox][name=clients]")]
    assert values == [str(client.id) for client in clients[50:]]
    assert "1 selected" in step.text


def test_the_picker_opens_with_the_selected_clients(
    browser: FlaskClient, user: User, session: Session
) -> None:
    clients = create_clients(user, 60)
    chosen = [clients[3].id, clients[57].id]
    message = MessageFactory.create(owner=user)
    fields = mailing_fields(message, audience="selected", clients=chosen, draft="1")
    browser.post("/mailings/new", data=fields)
    url = f"/mailings/{session.scalars(select(Mailing.id)).one()}/edit"
    for page in (browser.get(url), browser.post(url, data=fields | {"pick": "chosen"})):
        boxes = soup(page).select("input[type=checkbox][name=clients]")
        assert [box["value"] for box in boxes] == [str(client_id) for client_id in chosen]
        assert all(box.has_attr("checked") for box in boxes)


@pytest.mark.parametrize(
    ("suppressed", "expected"), [(1, "1 client has unsubscribed or is excluded"), (2, "No one will get")]
)
def test_suppressed_clients_are_marked(
    browser: FlaskClient, user: User, session: Session, suppressed: int, expected: str
) -> None:
    clients = create_clients(user, 2)
    for client in clients[:suppressed]:
        SuppressionFactory.create(owner_id=user.id, email_key=client.email_key)
    fields = mailing_fields(
        MessageFactory.create(owner=user),
        audience="selected",
        clients=[client.id for client in clients],
        starts_at=format_local(utcnow() + timedelta(hours=2)),
    )
    page = browser.post("/mailings/new", data=fields, follow_redirects=True)
    assert expected in page.text
    assert "· excluded" in browser.get("/mailings/new").text
    assert session.scalars(select(Mailing.audience)).one() is Audience.SELECTED


@pytest.mark.parametrize(
    ("values", "dropped"),
    [(["1-9"], "5"), (["match:", "3"], "3"), (["match:", "not:8"], "5,8"), (["saved:7", "1-9"], "1-4")],
)
def test_a_client_unchecked_on_a_replaced_page_is_not_selected(values: list[str], dropped: str) -> None:
    parsed = selection.Selection.parse([*values, f"drop:{dropped}"])
    again = selection.Selection.parse(parsed.to_values())
    assert again == parsed
    ids = {id for first, last in parsed.ranges for id in range(first, last + 1)}
    gone = {id for first, last in selection._read_ranges(dropped) for id in range(first, last + 1)}
    assert not ids & gone
    if not parsed.is_by_id:
        assert gone <= {id for first, last in parsed.excluded for id in range(first, last + 1)}
