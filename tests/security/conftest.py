"""Attacks on what DESIGN, section 10, promises; README.md says which test attacks which clause."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db, limiter
from skymailing.models import ClientImport, Delivery, DeliveryState, MailingState, Role, User
from tests.support.factories import (
    PASSWORD,
    ArticleFactory,
    ClientFactory,
    MailingFactory,
    MessageDraftFactory,
    MessageFactory,
    UserFactory,
    create_run,
)

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(environment: dict[str, str], session: Session) -> Iterator[MakeApp]:
    """Return a function that makes another app on the same servers with some settings changed."""
    apps: list[Flask] = []

    def make(**settings: object) -> Flask:
        config = TestingConfig(environment)
        for name, value in settings.items():
            setattr(config, name, value)
        apps.append(create_app(config))
        return apps[-1]

    yield make
    limiter.enabled = False  # the extension is shared with the suite's app
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@dataclass(frozen=True)
class World:
    """An administrator, who may call every route, and what the routes' arguments name."""

    owner: User
    arguments: dict[str, Any]

    def calls(self, app: Flask) -> Iterator[tuple[str, str, str]]:
        """Yield endpoint, method and path of everything that the app answers to."""
        for rule in app.url_map.iter_rules():
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **{name: self.arguments[name] for name in rule.arguments})
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                yield rule.endpoint, method, path


@pytest.fixture
def world(session: Session) -> World:
    """One of everything, all of it the administrator's own. A route with a new argument needs it here."""
    owner = UserFactory.create(role=Role.ADMIN)
    mailing = MailingFactory.create(owner=owner, state=MailingState.PAUSED)
    run = create_run(mailing, {DeliveryState.FAILED: 1})
    article = ArticleFactory.create(author=owner)
    imported = ClientImport(owner_id=owner.id, filename="clients.csv", content=b"email\n")
    session.add(imported)
    session.flush()
    delivery = session.query(Delivery).filter_by(run_id=run.id).one()
    return World(
        owner,
        {
            "client_id": ClientFactory.create(owner=owner).id,
            "message_id": MessageFactory.create(owner=owner).id,
            "mailing_id": mailing.id,
            "run_id": run.id,
            "delivery_id": delivery.id,
            "import_id": imported.id,
            "article_id": article.id,
            "slug": article.slug,
            "user_id": UserFactory.create().id,
            "session_id": 999_999,
            "removal_id": 999_999,
            "draft_id": MessageDraftFactory.create(owner_id=owner.id).id,
            "token": "no-token",
            "filename": "css/site.css",
            "name": "none.webp",
        },
    )


@pytest.fixture
def guarded(make_app: MakeApp) -> Flask:
    """An app that asks for CSRF tokens, as every one but the suite's does."""
    return make_app(WTF_CSRF_ENABLED=True)


def enter(browser: FlaskClient, user: User) -> None:
    """Sign in through the login page of an app that asks for tokens."""
    token = csrf_token(browser.get("/auth/login").text)
    answer = browser.post(
        "/auth/login", data={"email": user.email, "password": PASSWORD, "csrf_token": token}
    )
    assert answer.status_code == 302, answer.text


def csrf_token(page: str) -> str:
    """Return the token of a page's first form."""
    return page.split('name="csrf_token"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
