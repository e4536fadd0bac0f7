"""Test merging two clients who are the same person: values, letters, suppressions, undo."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing import jobs
from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.models import (
    COUNTED_STATES,
    Audience,
    AuditAction,
    AuditEntry,
    Client,
    Consent,
    ConsentKind,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    Run,
    RunState,
    Suppression,
    SuppressionReason,
    Tag,
    User,
    client_tags,
    mailing_clients,
)
from tests.clients.pages import find_undo_url
from tests.clients.selections import list_selected
from tests.conftest import SignIn
from tests.delivery.ledger import check_ledger, count_states, get_only_run, get_stored_counts
from tests.support.factories import (
    ClientFactory,
    DeliveryFactory,
    MailingFactory,
    RunFactory,
    SuppressionFactory,
    UserFactory,
    due_mailing,
)
from tests.support.servers import SmtpServer


@pytest.fixture
def anna(user: User) -> Client:
    return ClientFactory.create(
        owner=user, email="anna@work.example", full_name="", attributes={"city": "Омск", "phone": ""}
    )


@pytest.fixture
def duplicate(user: User) -> Client:
    return ClientFactory.create(
        owner=user,
        email="anna@home.example",
        full_name="Анна Петрова",
        comment="likes blue",
        attributes={"city": "Тула", "phone": "+7 900 123-45-67"},
    )


def merge(browser: FlaskClient, kept: Client, removed: Client) -> str:
    """Merge two clients on the page of the one who is removed; return the URL of the undo button."""
    data = {"other": kept.id, "keep": kept.id}
    return find_undo_url(browser.post(f"/clients/{removed.id}/merge", data=data, follow_redirects=True).text)


def add_tags(session: Session, client: Client, *names: str) -> None:
    for name in names:
        tag = session.scalar(select(Tag).where(Tag.name == name))
        if tag is None:
            tag = Tag(owner_id=client.owner_id, name=name, name_key=name)
            session.add(tag)
            session.flush()
        session.execute(client_tags.insert().values(tag_id=tag.id, client_id=client.id))


def read_tags(session: Session, client_id: int) -> list[str]:
    statement = select(Tag.name).join(client_tags).where(client_tags.c.client_id == client_id)
    return sorted(session.scalars(statement))


def find_client(session: Session, email: str) -> Client:
    session.expire_all()
    return session.scalars(select(Client).where(Client.email == email)).one()


def test_the_kept_client_gets_missing_values_and_undo_separates_the_clients(
    session: Session, browser: FlaskClient, user: User, anna: Client, duplicate: Client
) -> None:
    add_tags(session, anna, "vip")
    add_tags(session, duplicate, "vip", "new")
    mailing = MailingFactory.create(owner=user, audience=Audience.SELECTED, state=MailingState.SCHEDULED)
    session.execute(mailing_clients.insert().values(mailing_id=mailing.id, client_id=duplicate.id))
    consent = {"owner_id": user.id, "kind": ConsentKind.IMPORTED, "at": utcnow()}
    session.add(Consent(email_key=duplicate.email_key, **consent))
    run = RunFactory.create(mailing=mailing, planned=1)
    letter = DeliveryFactory.create(run=run, client=duplicate, state=DeliveryState.SENT)

    url = merge(browser, anna, duplicate)
    kept = find_client(session, "anna@work.example")
    assert session.scalar(select(func.count(Client.id))) == 1
    assert (kept.id, kept.full_name, kept.comment) == (anna.id, "Анна Петрова", "likes blue")
    assert kept.attributes == {"city": "Омск", "phone": "+7 900 123-45-67"}
    assert read_tags(session, kept.id) == ["new", "vip"]
    assert list_selected(session, mailing.id) == ["anna@work.example"]
    assert session.get_one(Delivery, letter.id).client_id == kept.id
    keys = select(Consent.email_key, Consent.orphaned_at.is_(None)).order_by(Consent.id)
    assert session.execute(keys).tuples().all() == [("anna@home.example", False), ("anna@work.example", True)]
    (entry,) = session.scalars(select(AuditEntry))
    assert (entry.action, entry.target) == (
        AuditAction.CLIENT_MERGED,
        "anna@home.example → anna@work.example",
    )

    assert "clients were separated" in browser.post(url, follow_redirects=True).text
    kept, restored = find_client(session, "anna@work.example"), find_client(session, "anna@home.example")
    assert (kept.full_name, kept.comment, kept.attributes) == ("", "", {"city": "Омск"})
    assert (restored.full_name, restored.attributes["city"]) == ("Анна Петрова", "Тула")
    assert (read_tags(session, kept.id), read_tags(session, restored.id)) == (["vip"], ["new", "vip"])
    assert list_selected(session, mailing.id) == ["anna@home.example"]
    assert session.get_one(Delivery, letter.id).client_id == restored.id
    assert session.execute(keys).tuples().all() == [("anna@home.example", True)]
    assert browser.post(url).status_code == 404


# States before and after the merge (kept client's letter, removed client's letter), and which client then has
# the removed client's letter.
N, K = "no one's", "kept"
CASES = (
    (None, "sent", None, "sent", K),
    (None, "suppressed", None, "suppressed", K),
    (None, "failed", None, "failed", N),  # it can be sent again, but not to the removed address
    (None, "unknown", None, "unknown", N),
    (None, "pending", None, "pending", K),  # readdressed
    (None, "deferred", None, "cancelled", N),
    (None, "sending", None, "sending", N),
    ("sent", "sent", "sent", "sent", N),
    ("pending", "pending", "pending", "cancelled", N),
    ("failed", "pending", "failed", "cancelled", N),
    ("sent", "deferred", "sent", "cancelled", N),
    ("pending", "failed", "pending", "failed", N),
    ("pending", "sent", "cancelled", "sent", N),
    ("pending", "unknown", "cancelled", "unknown", N),
    ("deferred", "sending", "cancelled", "sending", N),
)


def create_letters(mailing: Mailing, clients: dict[Client, str | None]) -> dict[Client, Delivery]:
    states = {client: DeliveryState(state) for client, state in clients.items() if state}
    number = timedelta(minutes=len(mailing.name))
    run = RunFactory.create(
        mailing=mailing, planned=len(states), state=RunState.SENDING, scheduled_for=mailing.starts_at + number
    )
    return {
        client: DeliveryFactory.create(run=run, client=client, state=state, finished_at=None)
        for client, state in states.items()
    }


def test_no_run_sends_both_a_letter_and_every_ledger_balances(
    session: Session, browser: FlaskClient, user: User, anna: Client, duplicate: Client
) -> None:
    letters = []
    for number, (kept_state, removed_state, *_after) in enumerate(CASES):
        mailing = MailingFactory.create(owner=user, state=MailingState.PAUSED, name=f"Case {number}")
        letters.append(create_letters(mailing, {anna: kept_state, duplicate: removed_state}))
    merge(browser, anna, duplicate)
    session.expire_all()
    for case, run_letters in zip(CASES, letters, strict=True):
        _kept_state, _removed_state, kept_after, removed_after, holder = case
        if anna in run_letters:
            assert (run_letters[anna].state, run_letters[anna].client_id) == (kept_after, anna.id), case
        letter = run_letters[duplicate]
        assert (letter.state, letter.client_id) == (removed_after, anna.id if holder == K else None), case
        is_readdressed = removed_after == "pending"
        assert letter.email == ("anna@work.example" if is_readdressed else "anna@home.example"), case
        run = session.get_one(Run, letter.run_id)
        counts = count_states(session, run)
        assert sum(counts.values()) == run.planned
        counted = {state.value: counts.get(state, 0) for state in COUNTED_STATES}
        assert get_stored_counts(session, run) == counted, case


def test_a_letter_is_not_sent_again_after_the_other_address_got_it(
    session: Session, browser: FlaskClient, user: User, anna: Client, duplicate: Client
) -> None:
    cases = [("failed", "sent"), ("unknown", "sent"), ("sending", "sent"), ("failed", "unknown")]
    letters = []
    for number, (kept_state, removed_state) in enumerate(cases):
        mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, name=f"Case {number}")
        letters.append(create_letters(mailing, {anna: kept_state, duplicate: removed_state}))
    url = merge(browser, anna, duplicate)
    session.expire_all()
    for run_letters, (_kept_state, removed_state) in zip(letters, cases, strict=True):
        assert run_letters[anna].client_id is None
        assert run_letters[duplicate].client_id == (anna.id if removed_state == "sent" else None)
    for run_letters in letters[:2]:
        mailing_id = session.get_one(Run, run_letters[anna].run_id).mailing_id
        browser.post(f"/mailings/{mailing_id}/resend-failed")
        browser.post(f"/mailings/{mailing_id}/settle-unknowns", data={"decision": "resend"})
    session.expire_all()
    assert [run_letters[anna].state for run_letters in letters[:2]] == ["failed", "unknown"]
    browser.post(url)
    restored = find_client(session, "anna@home.example")
    for run_letters in letters:
        assert (run_letters[anna].client_id, run_letters[duplicate].client_id) == (anna.id, restored.id)


def test_a_person_gets_one_letter_of_a_run_that_is_being_sent(
    app: Flask,
    session: Session,
    browser: FlaskClient,
    user: User,
    anna: Client,
    duplicate: Client,
    smtp: SmtpServer,
    work: Callable[[], None],
) -> None:
    mailing = due_mailing(user)
    with app.app_context():
        plan.start_due_run(mailing.id, utcnow())
    merge(browser, anna, duplicate)
    with app.app_context():
        jobs.run_sweep(utcnow())
    work()
    assert [letter.to for letter in smtp.letters] == ["anna@work.example"]
    run = get_only_run(session)
    check_ledger(session, run, smtp.letters)
    assert count_states(session, run) == {"sent": 1, "cancelled": 1}


@pytest.mark.one_engine
def test_the_pages_find_the_other_client_and_compare_both(
    session: Session, browser: FlaskClient, user: User, anna: Client, duplicate: Client
) -> None:
    stranger = ClientFactory.create(owner=UserFactory.create(), email="anna@strange.example")
    assert f'href="/clients/{anna.id}/merge"' in browser.get(f"/clients/{anna.id}").text
    page = browser.get(f"/clients/{anna.id}/merge?q=anna@").text
    links = BeautifulSoup(page, "html.parser").select(".import-list a")
    assert [link.text for link in links] == ["anna@home.example"]
    url = str(links[0]["href"])
    page = browser.get(url).text
    assert "+7 900 123-45-67" in page
    assert "marked your email as spam" not in page
    SuppressionFactory.create(
        owner_id=user.id, email_key=duplicate.email_key, reason=SuppressionReason.UNSUBSCRIBED
    )
    assert "marked your email as spam" in browser.get(url).text
    assert browser.get(f"/clients/{anna.id}/merge?other={stranger.id}").status_code == 404
    data = {"other": stranger.id, "keep": anna.id}
    assert browser.post(f"/clients/{anna.id}/merge", data=data).status_code == 404
    browser.post(f"/clients/{anna.id}/merge", data={"other": anna.id})  # not with herself
    assert session.scalar(select(func.count(Client.id))) == 3
    merge(browser, anna, duplicate)
    assert session.scalars(select(Suppression.email_key)).all() == ["anna@home.example"]


@pytest.mark.one_engine
def test_undo_is_rejected_while_a_new_client_has_the_address(
    session: Session, browser: FlaskClient, user: User, anna: Client, duplicate: Client, sign_in: SignIn
) -> None:
    url = merge(browser, anna, duplicate)
    assert sign_in(UserFactory.create()).post(url).status_code == 404
    session.expunge(duplicate)  # SQLite gives the new client her ID
    added = ClientFactory.create(owner=user, email="Anna@home.example")
    assert "already have a client with this address" in browser.post(url, follow_redirects=True).text
    session.delete(added)
    session.delete(find_client(session, "anna@work.example"))
    session.flush()
    browser.post(url)
    assert find_client(session, "anna@home.example").full_name == "Анна Петрова"
