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

from skymailing.models import (
    Client,
    ClientImport,
    DeliveryState,
    MailingState,
    Removal,
    RemovalKind,
    Role,
    User,
)
from tests.conftest import SignIn
from tests.factories import (
    ArticleFactory,
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    MessageFactory,
    UserFactory,
    create_run,
)

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Own:
    """A page of one object that belongs to its owner alone; `make` creates one of theirs."""

    argument: str
    make: Callable[[User], Any]


@dataclass(frozen=True)
class Panel:
    """A page of the panel, for some roles; of one thing, whoever's it is, when there is an argument."""

    roles: frozenset[Role]
    argument: str = ""
    make: Callable[[User], Any] | None = None


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


def make_removal(kind: RemovalKind, content: dict[str, Any]) -> Callable[[User], Any]:
    def make(owner: User) -> Any:
        session = inspect(owner).session
        assert session is not None
        removed = Removal(owner_id=owner.id, kind=kind, content=content)
        session.add(removed)
        session.flush()
        return removed

    return make


def make_article(author: User) -> Any:
    return ArticleFactory.create(author=author)


def make_run(owner: User) -> Any:
    return create_run(MailingFactory.create(owner=owner), {DeliveryState.SENT: 1})


def make_delivery(owner: User) -> Any:
    return DeliveryFactory.create(run__mailing__owner=owner)


PUBLIC = "anybody"
PRIVATE = "whoever is signed in, about their own things"
CLIENT = Own("client_id", make_client)
MESSAGE = Own("message_id", make_message)
MAILING = Own("mailing_id", make_mailing)
RUN = Own("run_id", make_run)
IMPORT = Own("import_id", make_import)

MANAGERS = frozenset({Role.MANAGER, Role.ADMIN})
AUTHORS = frozenset({Role.CONTENT, Role.ADMIN})
ARTICLE = Panel(AUTHORS, "article_id", make_article)

ACCESS: dict[str, str | Own | Panel] = {
    "static": PUBLIC,
    "home.index": PUBLIC,
    "home.language": PUBLIC,
    "home.change_guide": PRIVATE,
    "health.live": PUBLIC,
    "health.ready": PUBLIC,
    "metrics.show": PUBLIC,  # for the machine itself, as test_metrics shows
    "blog.index": PUBLIC,
    "blog.article": PUBLIC,
    "blog.media": PUBLIC,
    "syndication.feed": PUBLIC,
    "syndication.sitemap": PUBLIC,
    "syndication.robots": PUBLIC,
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
    "clients.undo": Own("removal_id", make_removal(RemovalKind.CLIENTS, {"clients": []})),
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
    "mailings.preview": PRIVATE,
    "mailings.show": MAILING,
    "mailings.progress": MAILING,
    "mailings.edit": MAILING,
    "mailings.preview_change": MAILING,
    "mailings.delete": MAILING,
    "mailings.undo": Own("removal_id", make_removal(RemovalKind.MAILING, {"values": {}, "clients": []})),
    "mailings.start": MAILING,
    "mailings.pause": MAILING,
    "mailings.resume": MAILING,
    "mailings.cancel": MAILING,
    "mailings.resend_failed": MAILING,
    "mailings.settle_unknowns": MAILING,
    "mailings.test": MAILING,
    "mailings.run": RUN,
    "mailings.log": MAILING,
    "mailings.log_csv": MAILING,
    "manager.index": Panel(MANAGERS | AUTHORS),
    "manager_mailings.index": Panel(MANAGERS),
    "manager_mailings.show": Panel(MANAGERS, "mailing_id", make_mailing),
    "manager_mailings.log": Panel(MANAGERS, "mailing_id", make_mailing),
    "manager_mailings.disable": Panel(MANAGERS),
    "manager_mailings.enable": Panel(MANAGERS),
    "manager_runs.index": Panel(MANAGERS),
    "manager_runs.show": Panel(MANAGERS, "run_id", make_run),
    "manager_runs.delivery": Panel(MANAGERS, "delivery_id", make_delivery),
    "manager_users.index": Panel(MANAGERS),
    "manager_users.show": Panel(MANAGERS, "user_id", lambda user: user),
    "manager_users.block": Panel(MANAGERS),
    "manager_users.unblock": Panel(MANAGERS),
    "manager_users.role": Panel(frozenset({Role.ADMIN}), "user_id", lambda user: user),
    "manager_articles.index": Panel(AUTHORS),
    "manager_articles.new": Panel(AUTHORS),
    "manager_articles.preview": Panel(AUTHORS),
    "manager_articles.edit": ARTICLE,
    "manager_articles.delete": ARTICLE,
    "manager_audit.index": Panel(MANAGERS),
    "logs.index": PRIVATE,
    "logs.csv": PRIVATE,
    "reports.index": PRIVATE,
    "reports.csv": PRIVATE,
}
# Registered only where the service catches its own letters, which production refuses.
DEVELOPMENT_ONLY = {"catcher.index", "catcher.show", "catcher.raw", "catcher.html", "catcher.delete_all"}
OWNED = sorted(endpoint for endpoint, access in ACCESS.items() if isinstance(access, Own))
PANEL = sorted(endpoint for endpoint, access in ACCESS.items() if isinstance(access, Panel))
SIGNED_IN = sorted(endpoint for endpoint, access in ACCESS.items() if access != PUBLIC)


def calls(app: Flask, endpoint: str, id: int = 1) -> Iterator[tuple[str, str]]:
    """Yield method and path of everything that an endpoint answers to."""
    access = ACCESS[endpoint]
    values = {} if isinstance(access, str) or not access.argument else {access.argument: id}
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
            assert isinstance(access, Own | Panel), rule.endpoint
            assert ids >= {access.argument}, rule.endpoint


@pytest.mark.parametrize("endpoint", SIGNED_IN)
def test_a_visitor_is_asked_to_sign_in(
    app: Flask, session: Session, visitor: FlaskClient, endpoint: str
) -> None:
    access = ACCESS[endpoint]
    row = access.make(UserFactory.create()) if not isinstance(access, str) and access.make else None
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


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("endpoint", PANEL)
def test_the_panel_opens_for_its_roles_alone(
    app: Flask, session: Session, sign_in: SignIn, endpoint: str, role: Role
) -> None:
    access = ACCESS[endpoint]
    assert isinstance(access, Panel)
    row = access.make(UserFactory.create()) if access.make else None
    before = values_of(row) if row else None
    browser = sign_in(UserFactory.create(role=role))
    for method, path in calls(app, endpoint, row.id if row else 1):
        if role in access.roles and method not in UNSAFE:
            assert browser.open(path, method=method).status_code in (200, 302), f"{method} {path}"
        elif role not in access.roles:
            # With all that any of the panel's forms asks for.
            form = {"id": row.id if row else 1, "reason": "x", "role": "admin", "title": "x", "body": "x"}
            answer = browser.open(path, method=method, data=form if method in UNSAFE else None)
            assert answer.status_code == 403, f"{method} {path}"
    if row:
        session.refresh(row)
        assert values_of(row) == before
