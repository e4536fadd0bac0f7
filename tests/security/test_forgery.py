"""Test that no request changes another user's data, except the columns that a role may change."""

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Table, inspect, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import MethodNotAllowed, NotFound

from skymailing.models import (
    Article,
    Attempt,
    AuditEntry,
    Client,
    ClientImport,
    Delivery,
    Mailing,
    Message,
    Run,
    Suppression,
    User,
    mailing_clients,
)
from tests.conftest import SignIn
from tests.security.decisions import (
    ACCESS,
)
from tests.security.owned_objects import SAFE, VERBS, OwnedObjects, sign_in_person
from tests.security.rules import Own, Panel, Person
from tests.support.databases import read_version
from tests.support.factories import (
    AttemptFactory,
    ClientFactory,
    DeliveryFactory,
    SuppressionFactory,
    UserFactory,
)

# Permissions are checked in Python, so one database is enough; the tests of each feature write to both.
pytestmark = pytest.mark.one_engine

# The columns that a role may change in other people's users, mailings and articles.
PERMITTED_COLUMNS = {
    "users": {"blocked_at", "blocked_reason", "session_epoch", "updated_at"},
    "mailings": {"disabled_at", "disabled_reason", "updated_at"},
}
ALL_COLUMNS = {column.name for column in Article.__table__.columns}
ALLOWED: dict[Person, dict[str, set[str]]] = {
    Person.VISITOR: {},
    Person.OTHER: {},
    Person.MANAGER: PERMITTED_COLUMNS,
    Person.CONTENT: {"articles": ALL_COLUMNS},
    Person.ADMIN: {
        **PERMITTED_COLUMNS,
        "users": PERMITTED_COLUMNS["users"] | {"role"},
        "articles": ALL_COLUMNS,
    },
}
# The actions that must happen, which shows that the forged requests work with the right role.
MANAGER_ACTIONS = {"user-blocked", "user-unblocked", "mailing-disabled", "mailing-enabled"}
AUTHOR_ACTIONS = {"article-created", "article-edited", "article-deleted"}
EXPECTED_ACTIONS = {
    Person.MANAGER: MANAGER_ACTIONS,
    Person.CONTENT: AUTHOR_ACTIONS,
    Person.ADMIN: {*MANAGER_ACTIONS, *AUTHOR_ACTIONS, "role-changed"},
}
ACTIONS_ON_OWN_DATA = {
    "account-exported",
    "api-key-created",
    "clients-exported",
    "log-exported",
    "report-exported",
    "client-deleted",
}
# Flask-Admin's default URLs, none of which exist in the panel.
FLASK_ADMIN_PATHS = (
    *("new/", "new/?url=/manager/", "{id}/edit", "{id}/delete", "edit/?id={id}", "delete/", "action/"),
    *("ajax/update/", "ajax/lookup/", "export/csv/", "details/?id={id}"),
)
VIEWS = ("mailings", "runs", "runs/deliveries", "users", "audit", "messages", "clients")

Rows = dict[tuple[str, Any], dict[str, Any]]


@pytest.fixture
def victim(app: Flask, session: Session) -> OwnedObjects:
    """Create a user with an object of each kind."""
    objects = OwnedObjects(app, session, UserFactory.create())
    for access in ACCESS.values():
        if isinstance(access, Own | Panel) and access.make:
            objects.make(access.make)
    AttemptFactory.create(delivery=DeliveryFactory.create(run__mailing__owner=objects.owner))
    SuppressionFactory.create(owner_id=objects.owner.id, email_key="never@example.org")
    client = ClientFactory.create(owner=objects.owner)
    mailing = session.scalars(select(Mailing.id).limit(1)).one()
    session.execute(mailing_clients.insert().values(mailing_id=mailing, client_id=client.id))
    return objects


def read_owned_rows(session: Session, owner: User) -> Rows:
    """Return all of a user's rows by table and key."""
    mailings = select(Mailing.id).where(Mailing.owner_id == owner.id)
    runs = select(Run.id).where(Run.mailing_id.in_(mailings))
    conditions: Mapping[Table, Any] = {
        get_table(User): User.id == owner.id,
        get_table(Run): Run.id.in_(runs),
        get_table(Delivery): Delivery.run_id.in_(runs),
        mailing_clients: mailing_clients.c.mailing_id.in_(mailings),
        get_table(Article): Article.author_id == owner.id,
        **{
            get_table(model): model.owner_id == owner.id
            for model in (Client, ClientImport, Message, Mailing, Suppression, Attempt)
        },
    }
    rows: Rows = {}
    for table, condition in conditions.items():
        key = [column.name for column in table.primary_key]
        for row in session.execute(select(table).where(condition)).mappings():
            rows[table.name, tuple(row[name] for name in key)] = dict(row)
    return rows


def get_table(model: type[Any]) -> Table:
    table = inspect(model).local_table
    assert isinstance(table, Table)
    return table


def find_unexpected_changes(before: Rows, after: Rows, allowed: dict[str, set[str]]) -> list[str]:
    """Return the row changes that are not allowed."""
    unexpected = [f"{table} {key} is new" for table, key in after.keys() - before.keys()]
    for (table, key), old in before.items():
        new = after.get((table, key))
        allowed_columns = allowed.get(table, set())
        if new is None:
            unexpected += [] if allowed_columns == ALL_COLUMNS else [f"{table} {key} is gone"]
            continue
        unexpected += [
            f"{table} {key}: {name}"
            for name, value in old.items()
            if value != new[name] and name not in allowed_columns
        ]
    return unexpected


@pytest.mark.parametrize("person", list(ALLOWED), ids=str)
def test_forged_requests_do_not_change_other_users_data(
    app: Flask, session: Session, sign_in: SignIn, victim: OwnedObjects, person: Person
) -> None:
    browser, user = sign_in_person(person, app, session, sign_in)
    before = read_owned_rows(session, victim.owner)
    assert {table for table, _ in before} >= {"users", "clients", "mailings", "deliveries", "attempts"}
    errors: list[str] = []
    version = read_version(session)
    for verb, path, form in list_forged_requests(victim):
        if person is not Person.ADMIN and not is_routed(app, verb, path):
            continue  # the URL map rejects it before any view runs, so one person is enough
        if send(browser, verb, path, form) >= 400:
            continue  # the final comparison covers rejected requests
        if read_version(session) == version:
            continue  # nothing was written
        version = read_version(session)
        if unexpected := find_unexpected_changes(
            before, read_owned_rows(session, victim.owner), ALLOWED[person]
        ):
            errors.append(f"{verb} {path}: {unexpected}")
            before = read_owned_rows(session, victim.owner)
    assert errors == []
    assert find_unexpected_changes(before, read_owned_rows(session, victim.owner), ALLOWED[person]) == []
    actions = select(AuditEntry.action).where(AuditEntry.actor_id == (user.id if user else 0))
    actions_taken = {action.value for action in session.scalars(actions)} - ACTIONS_ON_OWN_DATA
    assert actions_taken == EXPECTED_ACTIONS.get(person, set()), (
        "the forged requests work with the right role"
    )


def list_forged_requests(victim: OwnedObjects) -> list[tuple[str, str, dict[str, Any]]]:
    """Return every method for every route, with the victim's real IDs in the URL and the form."""
    paths = [
        # Routes with a token are excluded, because a valid token grants access.
        (victim.path(endpoint), victim.form(endpoint))
        for endpoint in sorted(ACCESS, key=lambda name: (name.endswith(("delete", "role")), name))
        if "token" not in victim.arguments(endpoint) and endpoint != "auth.logout"
    ]
    form = {"rowid": "1", "action": "delete", "id": victim.owner.id, "email": "x@example.com"}
    for view in VIEWS:
        paths += [(f"/manager/{view}/{path.format(id=victim.owner.id)}", form) for path in FLASK_ADMIN_PATHS]
    return [(verb, path, form) for path, form in paths for verb in VERBS]


def is_routed(app: Flask, verb: str, path: str) -> bool:
    """Return whether the app has a view for a request."""
    try:
        app.url_map.bind("localhost").match(path.partition("?")[0], verb)
    except (NotFound, MethodNotAllowed):
        return False
    return True


def send(browser: FlaskClient, verb: str, path: str, form: dict[str, Any]) -> int:
    is_query = verb in SAFE and "?" not in path
    data, query = (None, form) if is_query else (form, None)
    with browser.open(path, method=verb, data=data, query_string=query) as response:
        assert response.status_code < 500, f"{verb} {path}"
        return int(response.status_code)


def test_ids_in_a_form_affect_only_the_users_own_clients(
    session: Session, browser: FlaskClient, user: User
) -> None:
    foreign = ClientFactory.create()
    own = ClientFactory.create(owner=user)
    browser.post("/clients/bulk", data={"action": "delete", "ids": [foreign.id, own.id], "confirmed": "1"})
    assert set(session.scalars(select(Client.id))) == {foreign.id}
