"""Test that fields that do not belong to a form change nothing when they are posted to it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Article, Client, Mailing, Message, Role, Segment, User, UserSession
from skymailing.models.base import Model
from tests.conftest import SignIn
from tests.security.conftest import World
from tests.security.rules import list_page_rules
from tests.support.factories import ArticleFactory, ClientFactory, MailingFactory, MessageFactory, UserFactory

pytestmark = pytest.mark.one_engine

# Columns and relations that an attacker might try to set through any form.
FORGED_FIELDS: dict[str, str] = {
    "id": "999",
    "owner_id": "1",
    "owner": "1",
    "user_id": "1",
    "user": "1",
    "author_id": "1",
    "role": "admin",
    "is_admin": "1",
    "is_active": "1",
    "confirmed_at": "2020-01-01T00:00:00",
    "verified_at": "2020-01-01T00:00:00",
    "blocked_at": "",
    "blocked_reason": "",
    "disabled_at": "",
    "state": "finished",
    "created_at": "2001-01-01T00:00:00",
    "updated_at": "2001-01-01T00:00:00",
    "next_run_at": "2001-01-01T00:00:00",
    "next_summary_at": "2001-01-01T00:00:00",
    "password_hash": "x",
    "session_epoch": "99",
    "session_key": "x",
    "totp_secret": "x",
    "totp_last_step": "0",
    "second_factor_at": "2020-01-01T00:00:00",
    "last_login_at": "2001-01-01T00:00:00",
    "email_key": "forged@example.com",
    "unsubscribed_at": "",
    "views": "1000000",
}


def read_guarded_values(session: Session, model: type[Model], id: int) -> dict[str, object]:
    row = session.get_one(model, id, populate_existing=True)
    columns = {column.key for column in model.__table__.columns}
    return {name: getattr(row, name) for name in columns & ({*FORGED_FIELDS} - {"updated_at"})}


CLIENT = {"email": "anna@example.com", "full_name": "Anna", "comment": ""}
SEGMENT = {"name": "Omsk", "conditions": '{"field": "email", "op": "is_set"}'}
MESSAGE = {"subject": "Hello", "format": "text", "body": "Hello"}


def make_mailing_form(message: Message) -> dict[str, Any]:
    start = utcnow() + timedelta(days=1)
    return {
        "name": "Sale",
        "message": str(message.id),
        "audience": "all",
        "starts_at": f"{start:%Y-%m-%dT%H:%M}",
        "ends_at": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M}",
        "periodicity": "once",
        "on_unknown": "resend",
        "on_late": "send",
        "weekdays": list("1234567"),
    }


def test_editing_sets_only_the_fields_of_the_form(browser: FlaskClient, user: User, session: Session) -> None:
    other = UserFactory.create()
    client = ClientFactory.create(owner=user, email="anna@example.com")
    message = MessageFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user, message=message)
    forged = FORGED_FIELDS | {name: str(other.id) for name in ("owner_id", "owner", "user_id", "user")}
    for path, form, row in (
        (f"/clients/{client.id}/edit", CLIENT, client),
        (f"/messages/{message.id}/edit", MESSAGE, message),
        (f"/mailings/{mailing.id}/edit", make_mailing_form(message), mailing),
        ("/auth/profile", {"name": "A", "locale": "en", "timezone": "UTC", "email": "x@example.com"}, user),
    ):
        before = read_guarded_values(session, type(row), row.id)
        response = browser.post(path, data=forged | form)
        assert response.status_code == 302, response.text
        after = read_guarded_values(session, type(row), row.id)
        if row is mailing:  # saving schedules it for the time in the form
            assert after["state"] == "scheduled"
            next_run_at = after["next_run_at"]
            assert isinstance(next_run_at, datetime)
            assert next_run_at > utcnow()
            after |= {name: before[name] for name in ("state", "next_run_at")}
        assert after == before, path
    session.refresh(user)
    assert user.email != "x@example.com"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/clients/new", Client),
        ("/messages/new", Message),
        ("/mailings/new", Mailing),
        ("/segments/new", Segment),
    ],
)
def test_new_objects_belong_to_the_user_and_start_in_their_initial_state(
    browser: FlaskClient, user: User, session: Session, path: str, model: type[Any]
) -> None:
    other = UserFactory.create()
    message = MessageFactory.create(owner=user)
    existing_ids = {row.id for row in session.scalars(select(model))}
    forms: dict[type[Any], dict[str, Any]] = {
        Client: CLIENT,
        Message: MESSAGE,
        Segment: SEGMENT,
        Mailing: make_mailing_form(message),
    }
    form = forms[model]
    forged = FORGED_FIELDS | {name: str(other.id) for name in ("owner_id", "owner", "user_id", "user")}
    assert browser.post(path, data=forged | form).status_code == 302
    (created,) = [row for row in session.scalars(select(model)) if row.id not in existing_ids]
    assert created.owner_id == user.id
    assert created.id != 999
    assert created.created_at > utcnow() - timedelta(minutes=1)
    if isinstance(created, Client):
        assert created.email_key == "anna@example.com"
    if isinstance(created, Mailing):
        assert created.state == "scheduled"
        assert created.next_run_at is None or created.next_run_at > utcnow()


def test_no_form_changes_guarded_columns_of_a_user(
    app: Flask, sign_in: SignIn, session: Session, world: World
) -> None:
    """Post all fields to every route with a form, for the user's own objects and those of other users."""
    user = UserFactory.create()
    browser = sign_in(user)
    factories: dict[str, Any] = {
        "client": ClientFactory,
        "message": MessageFactory,
        "mailing": MailingFactory,
    }
    arguments = world.arguments | {
        f"{name}_id": factory.create(owner=user).id for name, factory in factories.items()
    }
    before = read_guarded_values(session, User, user.id)
    others_before = read_guarded_values(session, User, world.owner.id)
    for rule in list_page_rules(app):
        if "POST" not in (rule.methods or set()) or rule.endpoint == "auth.logout":
            continue
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{name: arguments[name] for name in rule.arguments})
        form = (
            FORGED_FIELDS | CLIENT | MESSAGE | {"name": "A", "locale": "en", "timezone": "UTC", "title": "x"}
        )
        assert browser.post(path, data=form | {"role": "admin"}).status_code < 500, path
    after = read_guarded_values(session, User, user.id)
    # The profile form has a summary hour, which determines the time of the next summary.
    assert {name: value for name, value in after.items() if name != "next_summary_at"} == {
        name: value for name, value in before.items() if name != "next_summary_at"
    }
    assert read_guarded_values(session, User, world.owner.id) == others_before
    for model in (Client, Message, Mailing):
        owners = set(session.scalars(select(model.owner_id)))
        assert owners <= {user.id, world.owner.id}


def test_registration_creates_an_unconfirmed_ordinary_account(visitor: FlaskClient, session: Session) -> None:
    data = FORGED_FIELDS | {"email": "new@example.com"}
    data |= {"password": "three odd words", "password_confirm": "three odd words"}
    assert visitor.post("/auth/register", data=data).status_code == 302
    created = session.scalars(select(User)).one()
    assert (created.role, created.confirmed_at, created.second_factor_at) == (Role.USER, None, None)
    assert created.password_hash.startswith("$argon2id$")
    assert str(created.session_epoch) not in FORGED_FIELDS.values()
    assert created.totp_secret == ""
    assert session.scalar(select(UserSession)) is None


def test_the_article_form_sets_neither_author_nor_views(sign_in: SignIn, session: Session) -> None:
    author, other = UserFactory.create(role=Role.CONTENT), UserFactory.create()
    article = ArticleFactory.create(author=author)
    browser = sign_in(author)
    names = {"title": "Title", "body": "Text", "format": "markdown", "slug": article.slug}
    data = FORGED_FIELDS | {"author_id": str(other.id), "author": str(other.id)} | names
    browser.post(f"/manager/articles/{article.id}/edit", data=data)
    changed = session.get_one(Article, article.id, populate_existing=True)
    assert changed.author_id == author.id
    assert changed.views == 0
