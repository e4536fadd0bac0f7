"""Test what a merge means for the removed address: its letters, and its opt-outs."""

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import (
    Audience,
    Client,
    MailingAudience,
    MailingState,
    MergedAddress,
    Run,
    Suppression,
    SuppressionReason,
    Tag,
    User,
)
from skymailing.tokens import unsubscribe_token
from tests.auth.test_export import download_archive
from tests.clients.test_merging import add_tags, anna, create_letters, duplicate, merge
from tests.support.factories import ClientFactory, MailingFactory, SuppressionFactory

__all__ = ["anna", "duplicate"]  # fixtures


def test_a_letter_is_not_readdressed_to_someone_who_may_have_been_excluded(
    session: Session, browser: FlaskClient, user: User, anna: Client, duplicate: Client
) -> None:
    add_tags(session, anna, "vip")
    tag_id = session.scalars(select(Tag.id)).one()
    mailings = [MailingFactory.create(owner=user, state=MailingState.PAUSED) for _ in range(3)]
    excluding, selected, extended_since = mailings
    session.add(MailingAudience(mailing_id=excluding.id, position=0, tag_id=tag_id, is_excluded=True))
    excluding.audience, selected.audience = Audience.ALL_EXCEPT, Audience.SELECTED
    session.flush()
    letters = [create_letters(mailing, {duplicate: "pending"})[duplicate] for mailing in mailings]
    run = session.scalars(select(Run).where(Run.mailing_id == extended_since.id)).one()
    run.audience = {"audience": "all_except"}
    session.flush()
    merge(browser, anna, duplicate)
    session.expire_all()
    for letter in letters:
        assert (letter.state, letter.client_id, letter.email) == ("cancelled", None, "anna@home.example")


def test_an_opt_out_through_an_old_letter_applies_to_the_kept_address(
    session: Session, browser: FlaskClient, visitor: FlaskClient, user: User, anna: Client, duplicate: Client
) -> None:
    third = ClientFactory.create(owner=user, email="anna@third.example")
    SuppressionFactory.create(
        owner_id=user.id, email_key=third.email_key, reason=SuppressionReason.MANUAL, note="by phone"
    )
    first = merge(browser, anna, duplicate)
    second = merge(browser, third, anna)
    table = download_archive(browser).read("merged-addresses.csv").decode()
    assert '"anna@home.example","anna@work.example",' in table
    with visitor.application.app_context():
        path = f"/u/{unsubscribe_token(user.id, duplicate.email_key)}"
    for _again in range(2):
        assert visitor.post(path).status_code == 200
    left = session.execute(select(Suppression.email_key, Suppression.reason)).tuples()
    people = {"anna@home.example", "anna@work.example", "anna@third.example"}
    assert dict(left.all()) == dict.fromkeys(people, SuppressionReason.UNSUBSCRIBED)
    browser.post(second)
    browser.post(first)
    assert session.scalars(select(MergedAddress.id)).all() == []
