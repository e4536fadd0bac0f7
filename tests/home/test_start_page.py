"""Test what the start page shows: the last result, the growth of the list, decisions and the next step."""

from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Bounce,
    BounceKind,
    BreakerState,
    Delivery,
    DeliveryState,
    Mailing,
    MailingKind,
    MailingState,
    Proof,
    Route,
    RunState,
    Security,
    SendingDomain,
    Sequence,
    SequenceStep,
    SmtpServer,
    User,
)
from tests.support.factories import ClientFactory, MailingFactory, UserFactory, count_changes, create_run
from tests.support.signup_factories import SignupFormFactory
from tests.support.statements import record_statements


def read(browser: FlaskClient) -> BeautifulSoup:
    return BeautifulSoup(browser.get("/").text, "html.parser")


def find_section(page: BeautifulSoup, title: str) -> Tag:
    heading = next((h2 for h2 in page.find_all("h2") if h2.get_text(" ", strip=True) == title), None)
    assert heading is not None, f"no section {title!r}"
    section = heading.find_parent("section")
    assert section is not None
    return section


def find_numbers(section: Tag) -> dict[str, str]:
    """Return the large numbers of a section by their labels, with their shares."""
    parts = [row.select("dt, dd") for row in section.select("dl > div")]
    return {label.get_text(): " ".join(number.get_text(" ").split()) for label, number in parts}


def find_decisions(browser: FlaskClient) -> dict[str, str]:
    """Return the links to decide by the IDs of what waits."""
    items = read(browser).select(".decisions li")
    return {str(item["id"]): str(item.select_one("a")["href"]) for item in items}  # type: ignore[index]


def send(owner: User, counts: dict[DeliveryState, int], **values: Any) -> Mailing:
    mailing: Mailing = MailingFactory.create(owner=owner, state=MailingState.FINISHED)
    create_run(mailing, counts, **{"finished_at": utcnow()} | values)
    return mailing


def test_the_last_result_is_shown_in_three_numbers(browser: FlaskClient, user: User) -> None:
    send(user, {DeliveryState.SENT: 1}, finished_at=utcnow() - timedelta(days=2))
    counts = {DeliveryState.SENT: 8, DeliveryState.FAILED: 2, DeliveryState.CANCELLED: 90}
    start = utcnow() - timedelta(hours=1)
    last = send(user, counts, unsubscribed=1, scheduled_for=start)
    send(UserFactory.create(), {DeliveryState.SENT: 5})

    section = find_section(read(browser), "Last mailing")

    assert last.name in section.get_text()
    assert [str(time["datetime"]) for time in section.select("time")] == [start.isoformat(timespec="seconds")]
    assert find_numbers(section) == {
        "Delivered": "8 80%",
        "Not delivered": "2 20%",
        "Not sent": "90 90% of 100 planned",
        "Unsubscribed": "1 12.5%",
    }


def test_clicks_are_shown_if_the_mailing_has_counted_them(browser: FlaskClient, user: User) -> None:
    send(user, {DeliveryState.SENT: 4}, track_clicks=True, clicked=3)
    assert find_numbers(find_section(read(browser), "Last mailing"))["Clicked"] == "3 75%"


def test_a_run_that_is_being_sent_has_no_result_yet(browser: FlaskClient, user: User) -> None:
    running = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(running, {DeliveryState.SENT: 1, DeliveryState.PENDING: 1}, state=RunState.SENDING)
    assert "Last mailing" not in read(browser).get_text()


def test_a_card_without_mailings_is_left_out(browser: FlaskClient, user: User) -> None:
    def list_cards() -> list[str]:
        headings = [heading.get_text(strip=True) for heading in read(browser).select(".dashboard h2")]
        return [text for text in headings if text in ("In progress", "Upcoming sends")]

    send(user, {DeliveryState.SENT: 1})
    assert list_cards() == ["Upcoming sends"]
    assert "Nothing is scheduled." in find_section(read(browser), "Upcoming sends").get_text()
    running = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    assert list_cards() == ["In progress"]
    assert running.name in find_section(read(browser), "In progress").get_text()
    MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=utcnow() + timedelta(days=1))
    assert list_cards() == ["In progress", "Upcoming sends"]


def test_the_growth_of_the_list_is_shown(browser: FlaskClient, user: User) -> None:
    assert "Your clients" not in read(browser).get_text()
    for age in (1, 29, 31, 400):
        ClientFactory.create(owner=user, created_at=utcnow() - timedelta(days=age))
    ClientFactory.create()
    run = create_run(MailingFactory.create(owner=user), {})
    with count_changes(run) as changes:
        changes.add("unsubscribed", 1, utcnow() - timedelta(days=3))
        changes.add("unsubscribed", 1, utcnow() - timedelta(days=40))

    section = find_section(read(browser), "Your clients last 30 days")

    assert find_numbers(section) == {"Total now": "4", "Added": "+2", "Unsubscribed": "1"}


def test_visitors_see_the_totals_of_all_users_but_users_do_not(
    browser: FlaskClient, visitor: FlaskClient
) -> None:
    MailingFactory.create()
    assert "SkyMailing in numbers" in visitor.get("/").text
    assert "SkyMailing in numbers" not in browser.get("/").text


def test_without_anything_to_decide_the_page_does_not_mention_it(browser: FlaskClient, user: User) -> None:
    send(user, {DeliveryState.SENT: 1})
    assert "Needs your attention" not in read(browser).get_text()


def test_unknown_letters_wait_for_a_decision(browser: FlaskClient, user: User, session: Session) -> None:
    mailing = send(user, {DeliveryState.UNKNOWN: 2})
    send(UserFactory.create(), {DeliveryState.UNKNOWN: 1})

    assert find_decisions(browser) == {
        f"unknown-mailing-{mailing.id}": f"/mailings/{mailing.id}/settle-unknowns"
    }

    session.query(Delivery).update({"finished_at": utcnow()})  # decided
    session.commit()
    assert find_decisions(browser) == {}


def test_unknown_letters_of_an_ended_mailing_leave_nothing_to_decide(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = send(user, {DeliveryState.UNKNOWN: 2})
    assert "Decide what to do" in read(browser).get_text()
    mailing.ends_at = utcnow()
    session.commit()
    page = read(browser).get_text()
    assert "2 emails are unclear: they may or may not have arrived." in page
    assert "Decide what to do" not in page
    assert list(find_decisions(browser)) == [f"unknown-mailing-{mailing.id}"]


def test_unknown_letters_of_sequences_and_programs_wait_for_a_decision(
    browser: FlaskClient, user: User, session: Session
) -> None:
    now = utcnow()
    step, program, old = (
        MailingFactory.create(owner=user, state=MailingState.RUNNING, kind=kind)
        for kind in (MailingKind.SEQUENCE, MailingKind.TRANSACTIONAL, MailingKind.SEQUENCE)
    )
    sequence = Sequence(owner_id=user.id, name="Welcome")
    session.add(sequence)
    session.flush()
    for position, mailing in enumerate((step, old)):
        session.add(SequenceStep(sequence_id=sequence.id, position=position, mailing_id=mailing.id))
    session.commit()
    for mailing, age in ((step, 1), (program, 1), (old, 30)):
        day = now - timedelta(days=age)
        create_run(mailing, {DeliveryState.UNKNOWN: 1}, scheduled_for=day, finished_at=day)

    assert find_decisions(browser) == {
        f"unknown-sequence-{sequence.id}": f"/sequences/{sequence.id}",
        "unknown-letters": "/letters/settle-unknowns",
    }
    assert read(browser).get_text().count("1 email is unclear: it may or may not have arrived.") == 2


def test_unclear_returned_letters_wait_for_a_decision(
    browser: FlaskClient, user: User, session: Session
) -> None:
    for owner, proof in [(user, Proof.ADDRESS), (user, Proof.SIGNED), (UserFactory.create(), Proof.ADDRESS)]:
        about = {"email_key": "a@example.org", "kind": BounceKind.HARD, "received_at": utcnow()}
        session.add(Bounce(owner_id=owner.id, proof=proof, **about))
    session.commit()

    assert find_decisions(browser) == {"returns": "/logs/returned?kind=unclear"}
    assert "1 returned email needs your decision" in read(browser).get_text()


def test_mailings_paused_by_the_service_wait_for_their_owner(browser: FlaskClient, user: User) -> None:
    stopped = MailingFactory.create(
        owner=user, state=MailingState.PAUSED, state_reason="too-many-bounces: 9/100"
    )
    MailingFactory.create(owner=user, state=MailingState.PAUSED)  # by the owner
    MailingFactory.create(state=MailingState.PAUSED, state_reason="refused: 550 no")

    assert find_decisions(browser) == {f"paused-mailing-{stopped.id}": f"/mailings/{stopped.id}"}
    assert "9 of your last 100 emails" in read(browser).get_text()


def test_servers_that_do_not_work_wait_for_their_owner(
    browser: FlaskClient, user: User, session: Session
) -> None:
    works = {"host": "mail.example", "port": 587, "security": Security.TLS, "tested_at": utcnow()}
    good, failed, silent = (
        SmtpServer(owner_id=user.id, name=name, **works | {"has_passed": name != "failed"})
        for name in ("good", "failed", "silent")
    )
    foreign = SmtpServer(owner_id=UserFactory.create().id, name="foreign", **works)
    session.add_all([good, failed, silent, foreign])
    session.flush()
    session.add(Route(name=silent.route, state=BreakerState.OPEN, opened_at=utcnow()))
    session.add(Route(name=good.route))
    session.commit()

    assert set(find_decisions(browser)) == {f"server-{failed.id}", f"server-{silent.id}"}


def test_domains_with_a_missing_record_wait_for_their_owner(
    browser: FlaskClient, user: User, session: Session
) -> None:
    now = utcnow()

    def add(name: str, **values: Any) -> SendingDomain:
        domain = SendingDomain(owner_id=user.id, name=name, token="t", **{"verified_at": now} | values)
        session.add(domain)
        session.commit()
        return domain

    add("good.example", findings={"signature": {"state": "found"}})
    add("new.example", verified_at=None, findings={"ownership": {"state": "missing"}})
    missing = add("missing.example", missing_since=now)
    unsigned = add("unsigned.example", findings={"signature": {"state": "wrong"}})

    assert find_decisions(browser) == {
        f"domain-{domain.id}": f"/domains/{domain.id}" for domain in (missing, unsigned)
    }


@pytest.mark.one_engine
def test_the_next_step_is_the_first_that_the_owner_has_not_taken(
    browser: FlaskClient, user: User, session: Session
) -> None:
    def find_next_step() -> str:
        step = read(browser).select_one("#next-step h2")
        return step.get_text() if step else ""

    assert find_next_step() == "", "the guide comes first"
    send(user, {DeliveryState.SENT: 1})
    draft = MailingFactory.create(owner=user, state=MailingState.DRAFT)
    assert find_next_step() == "Finish your draft"
    draft.state = MailingState.SCHEDULED
    session.commit()
    assert find_next_step() == "Send from your own domain"
    session.add(SendingDomain(owner_id=user.id, name="shop.example", token="t"))
    session.commit()
    assert find_next_step() == "Grow your list"
    SignupFormFactory.create(owner=user)
    assert find_next_step() == "Welcome new clients automatically"


@pytest.mark.one_engine
def test_the_number_of_queries_does_not_grow_with_the_data(browser: FlaskClient, user: User) -> None:
    send(user, {DeliveryState.SENT: 1, DeliveryState.UNKNOWN: 1})
    browser.get("/")
    with record_statements() as few:
        browser.get("/")
    for _ in range(4):
        send(user, {DeliveryState.SENT: 2, DeliveryState.UNKNOWN: 2})
    with record_statements() as many:
        browser.get("/")
    assert len(many) == len(few)
