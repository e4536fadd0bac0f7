"""Set up an A/B test in a mailing's form."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Mailing, MailingVariant, Message, MessageFormat, OutboxLetter, Removal, User
from tests.mailings.pages import (
    format_local,
    get_field_error,
    get_main_text,
    get_value,
    mailing_fields,
    soup,
)
from tests.support.factories import MessageFactory, create_clients

pytestmark = pytest.mark.one_engine

IN_THREE_HOURS, IN_THREE_DAYS = (format_local(utcnow() + timedelta(hours=count)) for count in (3, 72))


def fill_in_test(user: User, **changes: Any) -> dict[str, Any]:
    """Return valid form fields for a mailing with the variants A and B."""
    message = MessageFactory.create(owner=user, subject="Autumn")
    variant = {"variants": "2", "subject_b": "Autumn is here", "track_clicks": "y"}
    settings = {"sample_percent": "30", "test_hours": "6", "winner_by": "clicks"}
    return mailing_fields(message) | variant | settings | changes


def test_the_form_creates_a_mailing_with_variants(browser: FlaskClient, session: Session, user: User) -> None:
    create_clients(user, 3)
    other = MessageFactory.create(owner=user)
    changes = {
        "variants": "3",
        "message_c": str(other.id),
        "sender_name_c": "The team",
        "subject_d": "unused",
    }
    browser.post("/mailings/new", data=fill_in_test(user, **changes, draft="1"))

    mailing = session.scalars(select(Mailing)).one()
    assert (mailing.sample_percent, mailing.test_hours, mailing.winner_by) == (30, 6, "clicks")
    rows = session.scalars(select(MailingVariant).order_by(MailingVariant.number)).all()
    assert [(row.number, row.subject, row.sender_name, row.message_id) for row in rows] == [
        (2, "Autumn is here", "", None),
        (3, "", "The team", other.id),
    ]
    page = browser.get(f"/mailings/{mailing.id}/edit")
    expected = {"variants": "3", "subject_b": "Autumn is here", "sample_percent": "30", "test_hours": "6"}
    assert {name: get_value(page, name) for name in expected} == expected
    assert get_value(page, "message_c") == str(other.id)


def test_a_test_can_be_turned_off(browser: FlaskClient, session: Session, user: User) -> None:
    browser.post("/mailings/new", data=fill_in_test(user, draft="1"))
    mailing = session.scalars(select(Mailing)).one()
    browser.post(f"/mailings/{mailing.id}/edit", data=fill_in_test(user, draft="1", variants="0"))
    session.expire_all()
    assert mailing.sample_percent == 0
    assert session.scalars(select(MailingVariant)).all() == []


@pytest.mark.parametrize(
    ("changes", "field", "error"),
    [
        ({"track_clicks": ""}, "winner_by", "Turn on “Count clicks”"),
        ({"subject_b": ""}, "subject_b", "same email as variant A"),
        ({"subject_b": "Autumn"}, "subject_b", "same email as variant A"),
        ({"variants": "3", "subject_c": "Autumn is here"}, "subject_c", "same email as variant B"),
        ({"subject_b": "Hi {{ name"}, "subject_b", "cannot be read"),
        ({"subject_b": "x" * 501}, "subject_b", "at most 500"),
        ({"sender_name_b": "x" * 201}, "sender_name_b", "at most 200"),
        ({"message_b": "999999"}, "message_b", "does not exist"),
        ({"sample_percent": "9"}, "sample_percent", "from 10 to 50"),
        ({"sample_percent": "51"}, "sample_percent", "from 10 to 50"),
        ({"test_hours": "73"}, "test_hours", "from 1 to 72"),
        ({"test_hours": "0"}, "test_hours", "from 1 to 72"),
        ({"test_hours": "soon"}, "test_hours", "Not a valid integer"),
    ],
)
def test_errors_are_shown_next_to_their_fields(
    browser: FlaskClient, session: Session, user: User, changes: dict[str, str], field: str, error: str
) -> None:
    page = browser.post("/mailings/new", data=fill_in_test(user, **changes))
    assert error in get_field_error(page, field)
    assert session.scalars(select(Mailing)).all() == []
    (details,) = soup(page).select(".ab-test")
    assert details.has_attr("open")


def test_another_owners_message_cannot_be_a_variant(browser: FlaskClient, user: User) -> None:
    theirs = MessageFactory.create()
    page = browser.post("/mailings/new", data=fill_in_test(user, message_b=str(theirs.id)))
    assert "does not exist" in get_field_error(page, "message_b")


def test_a_test_that_the_owner_decides_needs_no_clicks(
    browser: FlaskClient, session: Session, user: User
) -> None:
    browser.post("/mailings/new", data=fill_in_test(user, track_clicks="", winner_by="owner", draft="1"))
    assert session.scalars(select(Mailing)).one().winner_by == "owner"


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"ends_at": IN_THREE_HOURS}, "test-too-late"),
        ({"opens_at": "00:00", "closes_at": "00:01", "ends_at": IN_THREE_DAYS}, "test-outside-hours"),
        ({}, "test-too-small"),
        ({"periodicity": "daily", "test_hours": "30", "ends_at": IN_THREE_DAYS}, "test-too-long"),
        ({"periodicity": "daily", "winner_by": "owner", "ends_at": IN_THREE_DAYS}, "test-too-long"),
    ],
)
def test_the_summary_warns_about_the_test(
    browser: FlaskClient, user: User, changes: dict[str, Any], warning: str
) -> None:
    create_clients(user, 10)
    page = browser.post("/mailings/new", data=fill_in_test(user, **changes, check="1"))
    assert soup(page).find(id=warning), get_main_text(page)


def test_a_test_that_fits_causes_no_warning(browser: FlaskClient, user: User) -> None:
    create_clients(user, 700)
    page = browser.post("/mailings/new", data=fill_in_test(user, check="1"))
    assert "A/B test of 2 variants, about 105 emails each" in get_main_text(page)
    for warning in ("test-too-late", "test-outside-hours", "test-too-small", "test-too-long", "uncountable"):
        assert not soup(page).find(id=warning)


def test_an_owner_can_choose_the_winner_until_the_end(browser: FlaskClient, user: User) -> None:
    create_clients(user, 10)
    fields = fill_in_test(user, ends_at=IN_THREE_HOURS, winner_by="owner", check="1")
    assert not soup(browser.post("/mailings/new", data=fields)).find(id="test-too-late")


@pytest.mark.parametrize(
    ("texts", "warning"),
    [
        ("", None),
        ("A", "cannot be counted in plain text: variant A."),
        ("AB", "The email is plain text, so its clicks and opens cannot be counted."),
    ],
)
def test_the_summary_warns_about_clicks_that_cannot_be_counted_in_plain_text(
    browser: FlaskClient, session: Session, user: User, texts: str, warning: str | None
) -> None:
    create_clients(user, 3)
    other = MessageFactory.create(
        owner=user, format=MessageFormat.TEXT if "B" in texts else MessageFormat.MARKDOWN
    )
    fields = fill_in_test(user, message_b=str(other.id), check="1")
    message = session.get_one(Message, int(fields["message"]))
    message.format = MessageFormat.TEXT if "A" in texts else MessageFormat.MARKDOWN
    session.flush()
    page = browser.post("/mailings/new", data=fields)
    note = soup(page).find(id="uncountable")
    assert bool(note) is bool(warning)
    if warning:
        assert warning in get_main_text(page)
    untracked = fields | {"track_clicks": "", "winner_by": "owner"}
    assert not soup(browser.post("/mailings/new", data=untracked)).find(id="uncountable")


def test_the_summary_shows_variants_that_fail_for_some_clients(browser: FlaskClient, user: User) -> None:
    create_clients(user, 2, attributes={"count": "many"})
    broken = "{% for i in (1..client.count) %}{{ i }}{% endfor %}{{ client.count | plus: 1 }}"
    other = MessageFactory.create(owner=user, body=broken)
    page = browser.post("/mailings/new", data=fill_in_test(user, message_b=str(other.id), check="1"))
    (warning,) = soup(page).select(".failing-variant")
    assert "Variant B:" in warning.text
    assert "Affects 2 clients" in warning.text


def test_each_variant_has_its_own_test_email(browser: FlaskClient, session: Session, user: User) -> None:
    page = browser.post("/mailings/new", data=fill_in_test(user, check="test"))
    assert "2 test emails sent" in page.text
    letters = session.scalars(select(OutboxLetter).order_by(OutboxLetter.id)).all()
    found = [(letter.params["mark"], letter.params["subject"]) for letter in letters]
    assert found == [("A", ""), ("B", "Autumn is here")]


def test_a_deleted_mailing_is_restored_with_its_variants(
    browser: FlaskClient, session: Session, user: User
) -> None:
    browser.post("/mailings/new", data=fill_in_test(user, draft="1"))
    mailing_id = session.scalars(select(Mailing.id)).one()
    browser.post(f"/mailings/{mailing_id}/delete")
    removal = session.scalars(select(Removal)).one()
    browser.post(f"/mailings/undo/{removal.id}")
    session.expire_all()
    assert session.scalars(select(Mailing.sample_percent)).all() == [30]
    assert session.scalars(select(MailingVariant.subject)).all() == ["Autumn is here"]


def test_a_message_of_a_variant_cannot_be_deleted(browser: FlaskClient, session: Session, user: User) -> None:
    other = MessageFactory.create(owner=user)
    browser.post("/mailings/new", data=fill_in_test(user, message_b=str(other.id), draft="1"))
    page = browser.post(f"/messages/{other.id}/delete", follow_redirects=True)
    assert "Осенние скидки" in page.text
