"""Test unsubscribing from a topic or from everything through the link in a letter, and undoing it."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clients import opt_outs
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import (
    Bounce,
    BounceKind,
    MergedAddress,
    OptOut,
    Proof,
    Suppression,
    SuppressionReason,
    Topic,
    TopicChoice,
    User,
)
from skymailing.tokens import unsubscribe_token
from tests.mailings.pages import get_main_text, soup
from tests.support.factories import SuppressionFactory, UserFactory
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory

ADDRESS = "anna@example.com"


@pytest.fixture
def news(user: User) -> Topic:
    return TopicFactory.create(owner=user)


def make_path(app: Flask, owner: User, topic: Topic | None = None, address: str = ADDRESS) -> str:
    with app.app_context():
        return f"/u/{unsubscribe_token(owner.id, address, topic.id if topic else None)}"


@pytest.fixture
def path(app: Flask, user: User, news: Topic) -> str:
    """The link in a letter about news."""
    return make_path(app, user, news)


@pytest.fixture
def plain_path(app: Flask, user: User) -> str:
    """The link in a letter without a topic."""
    return make_path(app, user)


def choices(session: Session) -> list[tuple[str, bool]]:
    session.expire_all()
    return [(row.email_key, row.is_joined) for row in session.scalars(select(TopicChoice))]


def suppressions(session: Session) -> dict[str, str]:
    session.expire_all()
    return {row.email_key: row.reason.value for row in session.scalars(select(Suppression))}


def post(visitor: FlaskClient, path: str, **data: str) -> TestResponse:
    response = visitor.post(path, data=data, headers={"Accept-Language": "en"})
    assert response.status_code == 200
    return response


def find_opt_out(page: TestResponse) -> str:
    found = re.search(r'name="opt_out" value="(\d+)"', page.text)
    assert found, "the page offers an undo"
    return found[1]


def undo(visitor: FlaskClient, path: str, page: TestResponse) -> TestResponse:
    return post(visitor, f"{path}/undo", opt_out=find_opt_out(page))


def test_opening_the_link_changes_nothing_and_names_the_sender_and_the_choices(
    session: Session, visitor: FlaskClient, user: User, news: Topic, path: str
) -> None:
    user.name = "Flower shop"
    session.flush()
    for _scanner in range(2):
        page = visitor.get(path, headers={"Accept-Language": "en"})
    text = get_main_text(page)
    assert "a***@example.com will no longer receive emails about “News” from Flower shop." in text
    assert "Unsubscribe from “News”" in text
    assert "Unsubscribe from everything" in text
    assert (choices(session), suppressions(session), session.scalars(select(OptOut)).all()) == ([], {}, [])


@pytest.mark.parametrize("data", [{}, {"List-Unsubscribe": "One-Click"}])
def test_a_post_unsubscribes_from_the_letters_topic_and_can_be_repeated(
    session: Session, visitor: FlaskClient, path: str, data: dict[str, str]
) -> None:
    for _click in range(2):
        text = get_main_text(post(visitor, path, **data))
        assert "You are unsubscribed from “News”" in text
        assert "Unsubscribe from everything" in text
    assert (choices(session), suppressions(session)) == ([(ADDRESS, False)], {})
    assert len(session.scalars(select(OptOut)).all()) == 1


def test_a_letter_with_a_topic_can_unsubscribe_from_everything(
    session: Session, visitor: FlaskClient, path: str
) -> None:
    page = visitor.get(path, headers={"Accept-Language": "en"})
    (form,) = (form for form in soup(page).select("form") if "everything" in form.get_text())
    assert "You are unsubscribed" in get_main_text(post(visitor, str(form["action"])))
    assert (choices(session), suppressions(session)) == ([], {ADDRESS: "unsubscribed"})


def test_a_letter_about_a_deleted_topic_unsubscribes_from_everything(
    session: Session, visitor: FlaskClient, news: Topic, path: str
) -> None:
    session.delete(news)
    session.flush()
    assert "You are unsubscribed" in get_main_text(post(visitor, path))
    assert suppressions(session) == {ADDRESS: "unsubscribed"}


def test_unsubscribing_from_a_topic_is_undone_with_the_link(
    session: Session, visitor: FlaskClient, path: str
) -> None:
    page = post(visitor, path)
    assert "You will keep receiving emails" in get_main_text(undo(visitor, path, page))
    assert choices(session) == []
    assert "This is no longer possible." in get_main_text(undo(visitor, path, page)), "in a second tab"
    assert choices(session) == []


def test_an_undo_restores_a_subscription(
    session: Session, visitor: FlaskClient, user: User, app: Flask
) -> None:
    digest = TopicFactory.create(owner=user, name="Digest", is_opt_in=True)
    TopicChoiceFactory.create(topic=digest, email_key=ADDRESS, is_joined=True)
    path = make_path(app, user, digest)
    page = post(visitor, path)
    assert choices(session) == [(ADDRESS, False)]
    undo(visitor, path, page)
    assert choices(session) == [(ADDRESS, True)]


def test_unsubscribing_from_everything_is_undone_with_the_link(
    session: Session, visitor: FlaskClient, plain_path: str
) -> None:
    page = post(visitor, plain_path)
    assert "You will keep receiving emails" in get_main_text(undo(visitor, plain_path, page))
    assert suppressions(session) == {}
    post(visitor, plain_path)
    assert suppressions(session) == {ADDRESS: "unsubscribed"}, "they can change their mind again"
    assert len(session.scalars(select(OptOut)).all()) == 1


def test_an_undo_names_a_topic_that_remains_unsubscribed(
    visitor: FlaskClient, path: str, plain_path: str
) -> None:
    post(visitor, path)
    assert "except about “News”" in get_main_text(undo(visitor, path, post(visitor, plain_path)))


def test_an_undo_restores_the_owners_own_suppression(
    session: Session, visitor: FlaskClient, user: User, plain_path: str
) -> None:
    earlier = SuppressionFactory.create(
        owner_id=user.id, email_key=ADDRESS, reason=SuppressionReason.MANUAL, note="by phone"
    )
    since = earlier.created_at
    assert "Unsubscribe?" in get_main_text(visitor.get(plain_path, headers={"Accept-Language": "en"}))
    page = post(visitor, plain_path)
    undo(visitor, plain_path, page)
    session.expire_all()
    kept = session.scalars(select(Suppression)).one()
    assert (kept.reason, kept.note, kept.created_at) == (SuppressionReason.MANUAL, "by phone", since)


@pytest.mark.parametrize("reason", ["unsubscribed", "complained", "bounced"])
def test_an_earlier_suppression_cannot_be_undone(
    session: Session, visitor: FlaskClient, user: User, plain_path: str, reason: str
) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key=ADDRESS, reason=SuppressionReason(reason))
    assert "Undo" not in get_main_text(post(visitor, plain_path))
    for number in ("1", "x", "9" * 30, ""):
        post(visitor, f"{plain_path}/undo", opt_out=number)
    assert suppressions(session) == {ADDRESS: reason}


@pytest.mark.parametrize("was_stopped_by_owner", [False, True])
@pytest.mark.parametrize("kind", [BounceKind.COMPLAINT, BounceKind.HARD])
def test_a_person_who_complains_after_unsubscribing_remains_unsubscribed(
    session: Session,
    visitor: FlaskClient,
    user: User,
    plain_path: str,
    kind: BounceKind,
    was_stopped_by_owner: bool,
) -> None:
    """Owners can lift their own suppressions, so an undo must not restore one that hides a complaint."""
    if was_stopped_by_owner:
        SuppressionFactory.create(owner_id=user.id, email_key=ADDRESS, reason=SuppressionReason.MANUAL)
    page = post(visitor, plain_path)
    values = {"kind": kind, "proof": Proof.SIGNED, "received_at": utcnow()}
    session.add(Bounce(owner_id=user.id, email_key=ADDRESS, **values))
    session.flush()
    assert "You are unsubscribed" in get_main_text(undo(visitor, plain_path, page))
    assert suppressions(session) == {ADDRESS: "unsubscribed"}


def test_an_undo_is_possible_for_a_day(session: Session, visitor: FlaskClient, plain_path: str) -> None:
    page = post(visitor, plain_path)
    with time_machine.travel(utcnow() + timedelta(hours=25)):
        assert "Undo" not in get_main_text(visitor.get(plain_path, headers={"Accept-Language": "en"}))
        undo(visitor, plain_path, page)
    assert suppressions(session) == {ADDRESS: "unsubscribed"}
    assert "Undo" in get_main_text(visitor.get(plain_path, headers={"Accept-Language": "en"}))


def test_a_link_undoes_only_what_was_done_at_its_own_address(
    app: Flask, session: Session, visitor: FlaskClient, user: User, plain_path: str
) -> None:
    found = find_opt_out(post(visitor, plain_path))
    for other in (make_path(app, user, address="boris@example.com"), make_path(app, UserFactory.create())):
        page = post(visitor, f"{other}/undo", opt_out=found)
        assert "This is no longer possible." in get_main_text(page)
        post(visitor, f"{other}/reason", opt_out=found, comment="forged")
    assert suppressions(session) == {ADDRESS: "unsubscribed"}
    assert session.scalars(select(OptOut.comment)).one() == ""


def test_a_page_offers_to_undo_only_what_it_is_about(
    app: Flask, session: Session, visitor: FlaskClient, user: User, path: str, plain_path: str
) -> None:
    offers = make_path(app, user, TopicFactory.create(owner=user, name="Offers"))
    with time_machine.travel(utcnow() - timedelta(days=2)):
        post(visitor, path)
    assert "Undo" in get_main_text(post(visitor, offers))
    page = visitor.get(path, headers={"Accept-Language": "en"})
    assert "You are unsubscribed from “News”" in get_main_text(page)
    assert "Undo" not in get_main_text(page), "it would undo the opt-out from the other topic"
    SuppressionFactory.create(owner_id=user.id, email_key=ADDRESS)
    for link in (offers, plain_path):
        page = visitor.get(link, headers={"Accept-Language": "en"})
        assert "You are unsubscribed" in get_main_text(page)
        assert "Undo" not in get_main_text(page)


def test_an_undo_keeps_what_the_person_has_chosen_since(
    session: Session, visitor: FlaskClient, news: Topic, path: str
) -> None:
    page = post(visitor, path)
    preferences = path.replace("/u/", "/p/")
    visitor.post(preferences, data={"topic": news.id})
    visitor.post(preferences, data={"shown": news.id})
    undo(visitor, path, page)
    assert choices(session) == [(ADDRESS, False)]


def test_an_opt_out_at_a_merged_clients_address_and_its_undo_apply_to_the_kept_client(
    session: Session, visitor: FlaskClient, user: User, news: Topic, path: str, plain_path: str
) -> None:
    session.add(MergedAddress(owner_id=user.id, email_key=ADDRESS, kept_key="anna@work.example"))
    session.flush()
    for link in (path, plain_path):
        page = post(visitor, link)
        everywhere = choices(session) or [(key, False) for key in suppressions(session)]
        assert sorted(everywhere) == [(ADDRESS, False), ("anna@work.example", False)]
        undo(visitor, link, page)
        assert (choices(session), suppressions(session)) == ([], {})


def test_simultaneous_clicks_can_be_undone(
    app: Flask, session: Session, visitor: FlaskClient, user: User, plain_path: str
) -> None:
    """The second request finds the address suppressed, so it stores nothing to undo."""
    now = utcnow()
    with app.app_context():
        opt_outs.opt_out(user.id, ADDRESS, None, now)
        opt_outs.opt_out(user.id, ADDRESS, None, now + timedelta(milliseconds=1))
        db.session.commit()
    page = visitor.get(plain_path, headers={"Accept-Language": "en"})
    undo(visitor, plain_path, page)
    assert suppressions(session) == {}
