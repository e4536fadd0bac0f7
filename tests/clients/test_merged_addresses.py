"""Test what a merge means for the removed address: its letters, and who opts out there."""

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import (
    Audience,
    Client,
    MailingAudience,
    MailingState,
    MergedAddress,
    Suppression,
    SuppressionReason,
    Tag,
    User,
)
from skymailing.security import unsubscribe_token
from tests.auth.test_export import download_archive
from tests.clients.test_merging import add_tags, anna, create_letters, double, merge
from tests.support.factories import ClientFactory, MailingFactory, SuppressionFactory

__all__ = ["anna", "double"]  # fixtures


def test_a_letter_is_not_readdressed_to_someone_who_may_have_been_excluded(
    session: Session, browser: FlaskClient, user: User, anna: Client, double: Client
) -> None:
    add_tags(session, anna, "vip")
    tag_id = session.scalars(select(Tag.id)).one()
    excluding, selected = (MailingFactory.create(owner=user, state=MailingState.PAUSED) for _ in range(2))
    session.add(MailingAudience(mailing_id=excluding.id, position=0, tag_id=tag_id, is_excluded=True))
    excluding.audience, selected.audience = Audience.ALL_EXCEPT, Audience.SELECTED
    session.flush()
    letters = [create_letters(mailing, {double: "pending"})[double] for mailing in (excluding, selected)]
    merge(browser, anna, double)
    session.expire_all()
    for letter in letters:
        assert (letter.state, letter.client_id, letter.email) == ("cancelled", None, "anna@home.example")


def test_who_opts_out_with_an_old_letter_opts_out_at_the_kept_address(
    session: Session, browser: FlaskClient, visitor: FlaskClient, user: User, anna: Client, double: Client
) -> None:
    third = ClientFactory.create(owner=user, email="anna@third.example")
    SuppressionFactory.create(
        owner_id=user.id, email_key=third.email_key, reason=SuppressionReason.MANUAL, note="by phone"
    )
    first = merge(browser, anna, double)
    second = merge(browser, third, anna)
    table = download_archive(browser).read("merged-addresses.csv").decode()
    assert '"anna@home.example","anna@work.example",' in table
    with visitor.application.app_context():
        path = f"/u/{unsubscribe_token(user.id, double.email_key)}"
    for _again in range(2):
        assert visitor.post(path).status_code == 200
    left = session.execute(select(Suppression.email_key, Suppression.reason)).tuples()
    people = {"anna@home.example", "anna@work.example", "anna@third.example"}
    assert dict(left.all()) == dict.fromkeys(people, SuppressionReason.UNSUBSCRIBED)
    browser.post(second)
    browser.post(first)
    assert session.scalars(select(MergedAddress.id)).all() == []
