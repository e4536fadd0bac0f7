"""Every route against everybody who might ask: nobody reaches what is somebody else's.

A new route fails here until it has an entry, which is the decision who may call it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from skymailing.models import Client, ClientImport, DeliveryState, MailingState, Role, User
from tests.conftest import SignIn
from tests.factories import ClientFactory, MailingFactory, MessageFactory, UserFactory, create_run

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Own:
    """A page of one object that belongs to its owner alone; `make` creates one of theirs."""

    argument: str
    make: Callable[[User], Any]


def make_client(owner: User) -> Any:
    return ClientFactory.create(owner=owner)


def make_message(owner: User) -> Any:
    return MessageFactory.create(owner=owner)


def make_mailing(owner: User) -> Any:
    mailing = MailingFactory.create(owner=owner, state=MailingState.PAUSED)
    create_run(mailing, {DeliveryState.FAILED: 1})
    return mailing


def make_import(owner: User) -> Any:
    session = inspect(owner).session
    assert session is not None
    imported = ClientImport(owner_id=owner.id, filename="clients.csv", content=b"email\n")
    session.add(imported)
    session.flush()
    return imported


PUBLIC = "anybody"
PRIVATE = "whoever is signed in, about their own things"
CLIENT = Own("client_id", make_client)
MESSAGE = Own("message_id", make_message)
MAILING = Own("mailing_id", make_mailing)
IMPORT = Own("import_id", make_import)

ACCESS: dict[str, str | Own] = {
    "static": PUBLIC,
    "home.index": PUBLIC,
    "home.language": PUBLIC,
    "health.live": PUBLIC,
    "health.ready": PUBLIC,
    "metrics.show": PUBLIC,  # for the machine itself, as test_metrics shows
    "blog.index": PUBLIC,
    "blog.article": PUBLIC,
    # Each carries a signed token, and their own tests try forged ones.
    "auth.verify": PUBLIC,
    "auth.reset": PUBLIC,
    "unsubscribe.page": PUBLIC,
    "auth.register": PUBLIC,
    "auth.registered": PUBLIC,
    "auth.login": PUBLIC,
    "auth.logout": PUBLIC,
    "auth.resend": PUBLIC,
    "auth.reset_request": PUBLIC,
    "auth.reset_requested": PUBLIC,
    "auth.profile": PRIVATE,
    "auth.change_password": PRIVATE,
    "clients.index": PRIVATE,
    "clients.new": PRIVATE,
    "clients.edit": CLIENT,
    "clients.delete": CLIENT,
    "clients.suppress": CLIENT,
    "clients.allow": CLIENT,
    "clients.delete_selected": PRIVATE,
    "clients.export": PRIVATE,
    "clients.import_new": PRIVATE,
    "clients.import_sample": PRIVATE,
    "clients.import_show": IMPORT,
    "clients.import_rejections": IMPORT,
    "messages.index": PRIVATE,
    "messages.new": PRIVATE,
    "messages.draft": PRIVATE,
    "messages.show": MESSAGE,
    "messages.duplicate": MESSAGE,
    "messages.edit": MESSAGE,
    "messages.delete": MESSAGE,
    "messages.preview": MESSAGE,
    "messages.test": MESSAGE,
    "mailings.index": PRIVATE,
    "mailings.new": PRIVATE,
    "mailings.show": MAILING,
    "mailings.progress": MAILING,
    "mailings.edit": MAILING,
    "mailings.delete": MAILING,
    "mailings.start": MAILING,
    "mailings.pause": MAILING,
    "mailings.resume": MAILING,
    "mailings.cancel": MAILING,
    "mailings.resend_failed": MAILING,
    "mailings.settle_unknowns": MAILING,
    "mailings.test": MAILING,
    "mailings.log": MAILING,
    "mailings.log_csv": MAILING,
    "logs.index": PRIVATE,
    "logs.csv": PRIVATE,
}
# Registered only where the service catches its own letters, which production refuses.
DEVELOPMENT_ONLY = {"catcher.index", "catcher.show", "catcher.raw", "catcher.html", "catcher.delete_all"}
OWNED = sorted(endpoint for endpoint, access in ACCESS.items() if isinstance(access, Own))
SIGNED_IN = sorted(endpoint for endpoint, access in ACCESS.items() if access != PUBLIC)


def calls(app: Flask, endpoint: str, id: int = 1) -> Iterator[tuple[str, str]]:
    """Yield method and path of everything that an endpoint answers to."""
    access = ACCESS[endpoint]
    values = {access.argument: id} if isinstance(access, Own) else {}
    for rule in app.url_map.iter_rules(endpoint):
        for method in methods_of(rule):
            with app.test_request_context():
                yield method, app.url_for(endpoint, **values)


def methods_of(rule: Rule) -> set[str]:
    # OPTIONS is Flask's own answer and touches nothing.
    return (rule.methods or set()) - {"OPTIONS"}


def values_of(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in inspect(row).mapper.column_attrs}


def test_every_route_has_a_decision(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()} - DEVELOPMENT_ONLY
    assert endpoints == set(ACCESS)


def test_every_route_with_an_id_belongs_to_an_owner(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        ids = {name for name in rule.arguments if name.endswith("_id")}
        if ids and rule.endpoint not in DEVELOPMENT_ONLY:
            access = ACCESS[rule.endpoint]
            assert isinstance(access, Own), rule.endpoint
            assert ids >= {access.argument}, rule.endpoint


@pytest.mark.parametrize("endpoint", SIGNED_IN)
def test_a_visitor_is_asked_to_sign_in(
    app: Flask, session: Session, visitor: FlaskClient, endpoint: str
) -> None:
    access = ACCESS[endpoint]
    row = access.make(UserFactory.create()) if isinstance(access, Own) else None
    found = False
    for method, path in calls(app, endpoint, row.id if row else 1):
        found = True
        answer = visitor.open(path, method=method)
        assert answer.status_code == 302, f"{method} {path}"
        assert answer.location.startswith("/auth/login?"), f"{method} {path}"
    assert found


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("endpoint", OWNED)
def test_what_is_somebody_elses_does_not_exist(
    app: Flask, session: Session, sign_in: SignIn, endpoint: str, role: Role
) -> None:
    access = ACCESS[endpoint]
    assert isinstance(access, Own)
    row = access.make(UserFactory.create())
    before = values_of(row)
    browser = sign_in(UserFactory.create(role=role))
    for method, path in calls(app, endpoint, row.id):
        assert browser.open(path, method=method).status_code == 404, f"{method} {path}"
        # As for an object that is really not there, so that nothing tells the two apart.
        missing = path.replace(f"/{row.id}", "/999999999", 1)
        assert browser.open(missing, method=method).status_code == 404, f"{method} {missing}"
    session.refresh(row)
    assert values_of(row) == before


@pytest.mark.parametrize("endpoint", OWNED)
def test_what_is_ones_own_exists(
    app: Flask, session: Session, browser: FlaskClient, user: User, endpoint: str
) -> None:
    access = ACCESS[endpoint]
    assert isinstance(access, Own)
    row = access.make(user)
    for method, path in calls(app, endpoint, row.id):
        if method not in UNSAFE:
            assert browser.open(path, method=method).status_code in (200, 302), f"{method} {path}"


def test_ids_in_a_form_reach_only_ones_own_clients(
    session: Session, browser: FlaskClient, user: User
) -> None:
    foreign = ClientFactory.create()
    own = ClientFactory.create(owner=user)
    browser.post("/clients/delete-selected", data={"id": [foreign.id, own.id], "confirmed": "1"})
    assert set(session.scalars(select(Client.id))) == {foreign.id}
