"""Provide fixtures for the security tests. README.md lists the tests for each security rule."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db, limiter
from skymailing.models import Delivery, DeliveryState, MailingState, Role, User
from skymailing.tracking.targets import forget_targets
from tests.security.client_decisions import make_distinct_group
from tests.security.object_factories import (
    make_api_key,
    make_bounce,
    make_bulk_job,
    make_caught_letter,
    make_domain,
    make_form,
    make_import,
    make_layout,
    make_letter,
    make_link_check,
    make_message_file,
    make_note,
    make_reviewer,
    make_saved_block,
    make_segment,
    make_sender,
    make_server,
    make_tag,
    make_template,
    make_topic,
    make_upload,
    make_webhook,
    make_webhook_call,
)
from tests.security.rules import list_page_rules
from tests.security.sequence_objects import make_place, make_sequence, make_step
from tests.support.archives import ArchiveEntryFactory, ArchiveFactory
from tests.support.factories import (
    PASSWORD,
    ArticleFactory,
    ClientFactory,
    MailingFactory,
    MessageDraftFactory,
    MessageFactory,
    SuppressionFactory,
    UserFactory,
    create_run,
)

MakeApp = Callable[..., Flask]


@pytest.fixture(autouse=True)
def _forget_targets() -> None:
    """Forget the links of earlier tests, whose runs had the same IDs."""
    forget_targets()


@pytest.fixture
def make_app(environment: dict[str, str], session: Session) -> Iterator[MakeApp]:
    """Yield a function that creates another app on the same servers with changed settings."""
    apps: list[Flask] = []

    def make(**settings: object) -> Flask:
        config = TestingConfig(environment)
        # On a loaded machine, a slow Redis must not look like an outage.
        config.RATELIMIT_STORAGE_OPTIONS = {"socket_timeout": 60, "socket_connect_timeout": 60}
        for name, value in settings.items():
            setattr(config, name, value)
        apps.append(create_app(config))
        return apps[-1]

    yield make
    limiter.enabled = False  # the extension is shared by all apps in the test run
    limiter._storage_dead = False  # otherwise it would return to Redis in the middle of a later test
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def throttled(make_app: MakeApp) -> Flask:
    return make_app(RATELIMIT_ENABLED=True)


@dataclass(frozen=True)
class World:
    """An administrator, who may use every route, and values for the routes' arguments."""

    owner: User
    arguments: dict[str, Any]

    def requests(self, app: Flask) -> Iterator[tuple[str, str, str]]:
        """Yield the endpoint, method and path of every route."""
        for rule in list_page_rules(app):
            with app.test_request_context():
                path = app.url_for(rule.endpoint, **{name: self.arguments[name] for name in rule.arguments})
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                yield rule.endpoint, method, path


# Arguments that are IDs, and functions that create their objects for an owner.
MAKERS = {
    "import_id": make_import,
    "upload_id": make_upload,
    "job_id": make_bulk_job,
    "note_id": make_note,
    "group_id": make_distinct_group,
    "tag_id": make_tag,
    "topic_id": make_topic,
    "bounce_id": make_bounce,
    "segment_id": make_segment,
    "form_id": make_form,
    "sender_id": make_sender,
    "domain_id": make_domain,
    "server_id": make_server,
    "endpoint_id": make_webhook,
    "call_id": make_webhook_call,
    "key_id": make_api_key,
    "letter_id": make_letter,
    "caught_id": make_caught_letter,
    "block_id": make_saved_block,
    "template_id": make_template,
    "layout_id": make_layout,
    "reviewer_id": make_reviewer,
    "check_id": make_link_check,
    "file_id": make_message_file,
    "sequence_id": make_sequence,
    "step_id": make_step,
    "enrolment_id": make_place,
}
# Arguments that do not refer to an object.
WITHOUT_OBJECTS = {
    **dict.fromkeys(("session_id", "passkey_id", "identity_id"), 999_999),
    "removal_id": 999_999,
    "token": "no-token",
    "provider": "brevo",
    "secret": "no-secret",
    "filename": "css/site.css",
    "name": "none.webp",
    "digits": "c0392b",
    "number": 1,
    "uuid": UUID(int=0),
}


@pytest.fixture
def world(session: Session) -> World:
    """Create an administrator with an object of each kind. Add values for new route arguments here."""
    owner = UserFactory.create(role=Role.ADMIN)
    mailing = MailingFactory.create(owner=owner, state=MailingState.PAUSED)
    run = create_run(mailing, {DeliveryState.FAILED: 1})
    article = ArticleFactory.create(author=owner)
    (delivery,) = session.scalars(select(Delivery).where(Delivery.run_id == run.id))
    return World(
        owner,
        {
            "client_id": ClientFactory.create(owner=owner).id,
            "message_id": MessageFactory.create(owner=owner).id,
            "mailing_id": mailing.id,
            "run_id": run.id,
            "delivery_id": delivery.id,
            "suppression_id": SuppressionFactory.create(owner_id=owner.id, email_key="a@b.example").id,
            "article_id": article.id,
            "slug": article.slug,
            "user_id": UserFactory.create().id,
            "archive_slug": ArchiveFactory.create(owner=owner).slug,
            "entry_id": ArchiveEntryFactory.create(run=run, slug=article.slug).id,
            "draft_id": MessageDraftFactory.create(owner_id=owner.id).id,
            **{name: make(owner).id for name, make in MAKERS.items()},
            **WITHOUT_OBJECTS,
        },
    )


@pytest.fixture
def guarded(make_app: MakeApp) -> Flask:
    """Create an app that requires CSRF tokens, which are turned off in other tests."""
    return make_app(WTF_CSRF_ENABLED=True)


def sign_in_with_token(browser: FlaskClient, user: User) -> None:
    """Sign in through the login page of an app that requires CSRF tokens."""
    token = csrf_token(browser.get("/auth/login").text)
    response = browser.post(
        "/auth/login", data={"email": user.email, "password": PASSWORD, "csrf_token": token}
    )
    assert response.status_code == 302, response.text


def csrf_token(page: str) -> str:
    """Return the token in a page's first form."""
    return page.split('name="csrf_token"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
