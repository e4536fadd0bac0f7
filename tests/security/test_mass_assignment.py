"""Fields that no form shows are posted to every form, and change nothing."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Article, Client, Mailing, Message, Role, User, UserSession
from tests.conftest import SignIn
from tests.security.conftest import World
from tests.support.factories import ArticleFactory, ClientFactory, MailingFactory, MessageFactory, UserFactory

pytestmark = pytest.mark.one_engine

# What an attacker would like to set, of whatever the form is about, under the names of columns and relations.
WISHES: dict[str, str] = {
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


def guarded_values(session: Session, model: type, id: int) -> dict[str, object]:
    row = session.get_one(model, id, populate_existing=True)
    columns = {attribute.key for attribute in inspect(model).column_attrs}
    return {name: getattr(row, name) for name in columns & ({*WISHES} - {"updated_at"})}


CLIENT = {"email": "anna@example.com", "full_name": "Anna", "comment": ""}
MESSAGE = {"subject": "Hello", "format": "text", "body": "Hello"}


def mailing_form(message: Message) -> dict[str, str]:
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
        "weekdays": list("1234567"),  # type: ignore[dict-item]
    }


def test_editing_sets_nothing_that_the_form_does_not_show(
    browser: FlaskClient, user: User, session: Session
) -> None:
    other = UserFactory.create()
    client = ClientFactory.create(owner=user, email="anna@example.com")
    message = MessageFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user, message=message)
    forged = WISHES | {name: str(other.id) for name in ("owner_id", "owner", "user_id", "user")}
    for path, form, row in (
        (f"/clients/{client.id}/edit", CLIENT, client),
        (f"/messages/{message.id}/edit", MESSAGE, message),
        (f"/mailings/{mailing.id}/edit", mailing_form(message), mailing),
        ("/auth/profile", {"name": "A", "locale": "en", "timezone": "UTC", "email": "x@example.com"}, user),
    ):
        before = guarded_values(session, type(row), row.id)
        answer = browser.post(path, data=forged | form)
        assert answer.status_code == 302, answer.text
        after = guarded_values(session, type(row), row.id)
        if row is mailing:  # saving it schedules it, for the time that the form says
            assert after["state"] == "scheduled"
            assert after["next_run_at"] > utcnow()
            after |= {name: before[name] for name in ("state", "next_run_at")}
        assert after == before, path
    session.refresh(user)
    assert user.email != "x@example.com"


@pytest.mark.parametrize(
    ("path", "model"), [("/clients/new", Client), ("/messages/new", Message), ("/mailings/new", Mailing)]
)
def test_what_is_created_is_ones_own_and_begins_at_the_beginning(
    browser: FlaskClient, user: User, session: Session, path: str, model: type
) -> None:
    other = UserFactory.create()
    message = MessageFactory.create(owner=user)
    known = {row.id for row in session.scalars(select(model))}
    form = {Client: CLIENT, Message: MESSAGE, Mailing: mailing_form(message)}[model]
    forged = WISHES | {name: str(other.id) for name in ("owner_id", "owner", "user_id", "user")}
    assert browser.post(path, data=forged | form).status_code == 302
    (made,) = [row for row in session.scalars(select(model)) if row.id not in known]
    assert made.owner_id == user.id
    assert made.id != 999
    assert made.created_at > utcnow() - timedelta(minutes=1)
    if isinstance(made, Client):
        assert made.email_key == "anna@example.com"
    if isinstance(made, Mailing):
        assert made.state == "scheduled"
        assert made.next_run_at is None or made.next_run_at > utcnow()


def test_no_form_at_all_makes_a_user_more_than_they_are(
    app: Flask, sign_in: SignIn, session: Session, world: World
) -> None:
    """Every route that takes a form is sent everything, about the caller's own things and others'."""
    user = UserFactory.create()
    browser = sign_in(user)
    own = {"client": ClientFactory, "message": MessageFactory, "mailing": MailingFactory}
    arguments = world.arguments | {
        f"{name}_id": factory.create(owner=user).id for name, factory in own.items()
    }
    before = guarded_values(session, User, user.id)
    strangers = guarded_values(session, User, world.owner.id)
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or set()) or rule.endpoint == "auth.logout":
            continue
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{name: arguments[name] for name in rule.arguments})
        form = WISHES | CLIENT | MESSAGE | {"name": "A", "locale": "en", "timezone": "UTC", "title": "x"}
        assert browser.post(path, data=form | {"role": "admin"}).status_code < 500, path
    after = guarded_values(session, User, user.id)
    # A summary hour is a field of the profile, and the time of the next one follows from it.
    assert {name: value for name, value in after.items() if name != "next_summary_at"} == {
        name: value for name, value in before.items() if name != "next_summary_at"
    }
    assert guarded_values(session, User, world.owner.id) == strangers
    for model in (Client, Message, Mailing):
        owners = set(session.scalars(select(model.owner_id)))
        assert owners <= {user.id, world.owner.id}


def test_registering_makes_an_ordinary_account_that_is_not_confirmed(
    visitor: FlaskClient, session: Session
) -> None:
    data = WISHES | {"email": "new@example.com"}
    data |= {"password": "three odd words", "password_confirm": "three odd words"}
    assert visitor.post("/auth/register", data=data).status_code == 302
    made = session.scalars(select(User)).one()
    assert (made.role, made.confirmed_at, made.second_factor_at) == (Role.USER, None, None)
    assert made.password_hash.startswith("$argon2id$")
    assert str(made.session_epoch) not in WISHES.values()
    assert made.totp_secret == ""
    assert session.scalar(select(UserSession)) is None


def test_an_authors_form_sets_neither_author_nor_views(sign_in: SignIn, session: Session) -> None:
    author, other = UserFactory.create(role=Role.CONTENT), UserFactory.create()
    article = ArticleFactory.create(author=author)
    browser = sign_in(author)
    names = {"title": "Title", "body": "Text", "format": "markdown", "slug": article.slug}
    data = WISHES | {"author_id": str(other.id), "author": str(other.id)} | names
    browser.post(f"/manager/articles/{article.id}/edit", data=data)
    changed = session.get_one(Article, article.id, populate_existing=True)
    assert changed.author_id == author.id
    assert changed.views == 0
