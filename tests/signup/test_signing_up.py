"""Test that people who submit a form and confirm their address become clients with recorded consent."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Client,
    Consent,
    ConsentKind,
    FormDay,
    Signup,
    SignupForm,
    Suppression,
    SuppressionReason,
    Tag,
    TopicChoice,
    User,
    client_forms,
    client_tags,
)
from tests.mailings.pages import get_field_error, get_main_text
from tests.signup.people import EMAIL, ENTERED, Visitor, only_link, path_of, read_fields, read_link
from tests.support.factories import ClientFactory, SuppressionFactory
from tests.support.servers import SmtpServer
from tests.support.signup_factories import TopicChoiceFactory, TopicFactory

Work = Callable[[], None]


def find_client(session: Session) -> Client | None:
    statement = select(Client).where(Client.email_key == EMAIL.lower())
    return session.scalar(statement.execution_options(populate_existing=True))


def confirm(app: Flask, smtp: SmtpServer, work: Work) -> None:
    """Follow the link in the only confirmation letter, and confirm."""
    work()
    assert Visitor(app).post(only_link(smtp), {}).status_code == 200
    smtp.clear()


def test_a_person_subscribes_through_the_forms_own_page(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    tag = Tag(owner_id=user.id, name="Site", name_key="site")
    session.add(tag)
    form.tags = [tag]
    session.flush()
    anna = Visitor(app)
    with time_machine.travel(utcnow() - timedelta(seconds=20), tick=False) as clock:
        page = anna.get(path_of(form))
        assert "I agree to get news." in page.text
        clock.shift(10)
        response = anna.post(path_of(form), read_fields(page) | ENTERED)
    assert "Check your email" in get_main_text(response)
    assert find_client(session) is None, "the address is not confirmed yet"
    work()
    (letter,) = smtp.letters
    assert letter.to == EMAIL
    link = read_link(letter)
    confirmation = anna.get(link)
    assert "Confirm subscription" in get_main_text(confirmation)
    assert "I agree to get news." in confirmation.text
    assert find_client(session) is None, "mail scanners open links, too"

    assert "You are subscribed" in get_main_text(anna.post(link, {}))

    client = find_client(session)
    assert client is not None
    assert (client.email, client.full_name, client.attributes) == (EMAIL, "Анна", {"city": "Омск"})
    assert session.scalars(select(client_tags.c.tag_id)).all() == [tag.id]
    assert session.execute(select(client_forms)).tuples().all() == [(form.id, client.id)]
    requested, confirmed = session.scalars(select(Consent).order_by(Consent.id)).all()
    assert (requested.kind, confirmed.kind) == (ConsentKind.ASKED, ConsentKind.CONFIRMED)
    for consent in requested, confirmed:
        assert (consent.ip, consent.agent, consent.form_id) == (anna.ip, "Firefox", form.id)
        assert consent.email_key == EMAIL.lower()
        assert consent.text is not None
        assert consent.text.text == "I agree to get news."
        assert consent.orphaned_at is None
    assert session.execute(select(FormDay.requested, FormDay.confirmed)).tuples().all() == [(1, 1)]


def test_a_confirmation_subscribes_to_the_forms_topics(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    digest = TopicFactory.create(owner=user, name="Digest", is_opt_in=True)
    offers = TopicFactory.create(owner=user, name="Offers")
    TopicChoiceFactory.create(topic=offers, email_key=EMAIL.lower())  # unsubscribed
    form.topics = [digest, offers]
    session.flush()
    Visitor(app).sign_up(form)
    assert len(session.scalars(select(TopicChoice)).all()) == 1, "the address is not confirmed yet"
    confirm(app, smtp, work)
    joined = select(TopicChoice.topic_id, TopicChoice.is_joined).order_by(TopicChoice.topic_id)
    assert session.execute(joined).tuples().all() == [(digest.id, True), (offers.id, True)]


def test_confirming_twice_changes_nothing(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    anna = Visitor(app)
    anna.sign_up(form)
    work()
    link = only_link(smtp)
    anna.post(link, {})
    SuppressionFactory.create(owner_id=user.id, email_key=EMAIL.lower())

    assert "You are subscribed" in get_main_text(anna.post(link, {}))

    assert len(session.scalars(select(Consent)).all()) == 2
    assert session.scalar(select(Suppression)) is not None, "the person has unsubscribed since"


def test_an_embedded_form_needs_one_more_click(app: Flask, form: SignupForm, session: Session) -> None:
    anna = Visitor(app)
    step = anna.submit(form)
    assert "One more step" in get_main_text(step)
    assert read_fields(step).items() >= ENTERED.items()
    assert session.scalar(select(Signup)) is None

    assert "Check your email" in get_main_text(anna.complete_step(form, step))
    signup = session.scalars(select(Signup)).one()
    assert signup.values == {"full_name": "Анна", "attribute.city": "Омск"}


def test_a_second_request_replaces_the_values_of_the_first(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    Visitor(app).sign_up(form)
    Visitor(app).sign_up(form, full_name="Анна Петрова", email=EMAIL.upper())
    signup = session.scalars(select(Signup)).one()
    assert (signup.requests, signup.values["full_name"]) == (2, "Анна Петрова")
    confirm(app, smtp, work)
    client = find_client(session)
    assert client is not None
    assert client.full_name == "Анна Петрова"


def test_a_sign_up_keeps_values_that_it_leaves_empty_and_ignores_unknown_fields(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    values = {"full_name": "Anna", "comment": "VIP", "attributes": {"city": "Tomsk", "size": "M"}}
    ClientFactory.create(owner=user, email=EMAIL.lower(), **values)
    Visitor(app).sign_up(form, full_name="", **{"comment": "not a field", "attribute.size": "XL"})
    confirm(app, smtp, work)
    client = find_client(session)
    assert client is not None
    assert (client.full_name, client.comment) == ("Anna", "VIP")
    assert client.attributes == {"city": "Омск", "size": "M"}


def test_errors_are_shown_next_to_the_fields_and_entered_values_are_kept(
    app: Flask, session: Session, form: SignupForm
) -> None:
    form.fields = [{"key": "full_name", "label": "Name", "is_required": True}]
    session.flush()
    page = Visitor(app).submit(form, email="anna@", full_name="")
    assert "domain" in get_field_error(page, "email")
    assert get_field_error(page, "full_name") == "Please fill this in."
    assert read_fields(page)["email"] == "anna@"
    assert session.scalar(select(Signup)) is None


@pytest.mark.one_engine
@pytest.mark.parametrize("path", ["/f/00000000-0000-4000-8000-000000000000", "/f/none", "/f/1/confirm/x"])
def test_an_unknown_form_is_not_found(app: Flask, session: Session, path: str) -> None:
    anna = Visitor(app)
    assert (anna.get(path).status_code, anna.post(path, ENTERED).status_code) == (404, 404)


@pytest.mark.one_engine
def test_a_closed_form_accepts_nothing(app: Flask, session: Session, form: SignupForm) -> None:
    anna = Visitor(app)
    assert anna.get(path_of(form)).status_code == 200
    form.is_open = False
    session.flush()
    for response in anna.get(path_of(form)), anna.sign_up(form):
        assert response.status_code == 410
        assert "This form is closed" in get_main_text(response)
    assert session.scalar(select(Signup)) is None


def test_a_confirmed_subscription_undoes_unsubscribing(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    SuppressionFactory.create(owner_id=user.id, email_key=EMAIL.lower())
    other = SuppressionFactory.create(owner_id=user.id, email_key="other@mail.example")
    Visitor(app).sign_up(form)
    assert len(session.scalars(select(Suppression)).all()) == 2, "the address is not confirmed yet"
    confirm(app, smtp, work)
    assert session.scalars(select(Suppression.email_key)).all() == [other.email_key]


@pytest.mark.parametrize(
    ("reason", "days", "is_kept"),
    [
        (SuppressionReason.COMPLAINED, 400, True),
        (SuppressionReason.MANUAL, 400, True),
        (SuppressionReason.BOUNCED, 29, True),
        (SuppressionReason.BOUNCED, 31, False),
    ],
)
def test_a_confirmation_keeps_other_suppressions_except_old_bounces(
    app: Flask,
    session: Session,
    user: User,
    form: SignupForm,
    smtp: SmtpServer,
    work: Work,
    reason: SuppressionReason,
    days: int,
    is_kept: bool,
) -> None:
    since = utcnow() - timedelta(days=days)
    SuppressionFactory.create(owner_id=user.id, email_key=EMAIL.lower(), reason=reason, created_at=since)
    Visitor(app).sign_up(form)
    confirm(app, smtp, work)
    assert find_client(session) is not None
    assert bool(session.scalars(select(Suppression)).all()) is is_kept


def test_a_complaint_after_unsubscribing_keeps_the_suppression(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    """The suppression keeps only its first reason; the complaint is recorded among the consents."""
    SuppressionFactory.create(owner_id=user.id, email_key=EMAIL.lower())
    session.add(Consent(owner_id=user.id, email_key=EMAIL.lower(), kind=ConsentKind.OBJECTED, at=utcnow()))
    session.flush()
    Visitor(app).sign_up(form)
    confirm(app, smtp, work)
    assert session.scalar(select(Suppression.reason)) is SuppressionReason.UNSUBSCRIBED


def test_old_links_expire_and_their_requests_are_removed(
    app: Flask, session: Session, form: SignupForm, smtp: SmtpServer, work: Work
) -> None:
    from skymailing.jobs import run_sweep

    anna = Visitor(app)
    anna.sign_up(form)
    work()
    link = only_link(smtp)
    with time_machine.travel(utcnow() + timedelta(days=7, minutes=1)):
        for response in anna.get(link), anna.post(link, {}):
            assert response.status_code == 410
            assert "This link has expired" in get_main_text(response)
        with app.app_context():
            run_sweep(utcnow())
        assert session.scalar(select(Signup)) is None
        assert anna.post(link, {}).status_code == 410
    assert find_client(session) is None


@pytest.mark.parametrize(
    ("existing", "sent", "stored"),
    [
        ("", "Asia/Omsk", "Asia/Omsk"),
        ("", "Mars/Olympus", ""),
        ("", "", ""),
        ("Europe/Moscow", "Asia/Omsk", "Europe/Moscow"),
    ],
)
def test_a_valid_browser_time_zone_is_stored_if_the_client_has_none(
    app: Flask,
    session: Session,
    user: User,
    form: SignupForm,
    smtp: SmtpServer,
    work: Work,
    existing: str,
    sent: str,
    stored: str,
) -> None:
    if existing:
        ClientFactory.create(owner=user, email=EMAIL, timezone=existing)
    anna = Visitor(app)
    assert "timezone" in read_fields(anna.get(path_of(form)))
    anna.sign_up(form, timezone=sent)
    confirm(app, smtp, work)
    client = find_client(session)
    assert client is not None
    assert client.timezone == stored
