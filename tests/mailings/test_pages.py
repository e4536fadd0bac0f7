"""The pages of mailings: the list, one mailing, its buttons."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Audience,
    Delivery,
    DeliveryState,
    Mailing,
    MailingState,
    OutboxLetter,
    Periodicity,
    Run,
    RunState,
    User,
    mailing_clients,
)
from tests.factories import (
    AttemptFactory,
    ClientFactory,
    MailingFactory,
    MessageFactory,
    SuppressionFactory,
    create_clients,
    create_run,
)
from tests.mailings.pages import local, mailing_fields, main, soup
from tests.servers import SmtpServer

Work = Callable[[], None]


def buttons(page_of: str) -> set[str]:
    return {
        name
        for name in ("start", "pause", "resume", "cancel", "resend-failed")
        if f'id="do-{name}"' in page_of
    }


def state_of(mailing: Mailing, session: Session) -> MailingState:
    session.refresh(mailing)
    return mailing.state


# --- The list ---------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do(browser: FlaskClient) -> None:
    page = browser.get("/mailings/").text
    assert "No mailings yet" in page
    assert "/mailings/new" in page


def test_the_list_shows_state_next_start_and_last_result(browser: FlaskClient, user: User) -> None:
    MailingFactory.create(owner=user, name="Later", state=MailingState.SCHEDULED, next_run_at=utcnow())
    running = MailingFactory.create(owner=user, name="Now", state=MailingState.RUNNING)
    create_run(running, {DeliveryState.SENT: 3, DeliveryState.PENDING: 1}, state=RunState.SENDING)
    MailingFactory.create(name="Somebody else's")
    page = main(browser.get("/mailings/"))
    assert "75 %" in page
    assert "3 of 4 sent" in page
    assert "scheduled" in page
    assert "Somebody else's" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=весен", {"Весенняя"}),
        ("q=SUMMER", {"Summer"}),
        ("q=%25", set()),
        ("q=%00", {"Весенняя", "Summer"}),
        ("state=draft", {"Summer"}),
        ("state=nonsense", {"Весенняя", "Summer"}),
        ("sort=name", {"Весенняя", "Summer"}),
        ("sort=-starts_at", {"Весенняя", "Summer"}),
        ("sort=nonsense&cursor=nonsense", {"Весенняя", "Summer"}),
    ],
)
def test_the_list_is_searched_filtered_and_sorted(
    browser: FlaskClient, user: User, query: str, found: set[str]
) -> None:
    MailingFactory.create(owner=user, name="Весенняя", state=MailingState.PAUSED)
    MailingFactory.create(owner=user, name="Summer")
    answer = browser.get(f"/mailings/?{query}")
    assert answer.status_code == 200
    assert {link.text for link in soup(answer).select("td a")} == found


def test_the_list_is_read_page_by_page(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user)
    for number in range(51):
        MailingFactory.create(owner=user, message=message, name=f"Mailing {number:02}")
    first = soup(browser.get("/mailings/?sort=name"))
    (link,) = first.select("a[rel=next]")
    second = soup(browser.get(str(link["href"])))
    names = [row.text for row in [*first.select("td a"), *second.select("td a")]]
    assert names == [f"Mailing {number:02}" for number in range(51)]


# --- One mailing ------------------------------------------------------------------------------


def test_a_page_says_what_to_whom_and_when(browser: FlaskClient, user: User) -> None:
    message = MessageFactory.create(owner=user, subject="Скидки {{ name }}")
    create_clients(user, 3)
    mailing = MailingFactory.create(owner=user, name="Осень", message=message, sender_name="Лавка")
    text = main(browser.get(f"/mailings/{mailing.id}"))
    for part in ("Осень", "Скидки {{ name }}", "Лавка", "all clients: 3", "draft", "once"):
        assert part in text, part


def test_the_counts_of_a_run_add_up_in_sight(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {state: number for number, state in enumerate(DeliveryState, 1)})
    answer = browser.get(f"/mailings/{mailing.id}")
    line = soup(answer).find(id="ledger-sum")
    assert line is not None
    assert " ".join(line.text.split()) == "Planned 45 = 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 adds up"
    assert "6 letters nobody can know" in main(answer)


def test_a_ledger_that_does_not_close_is_called_so(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    run = create_run(mailing, {DeliveryState.SENT: 2})
    run.planned = 3
    session.flush()
    assert "does not add up (2)" in main(browser.get(f"/mailings/{mailing.id}"))


def test_the_latest_attempts_stand_on_the_page(browser: FlaskClient, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    run = create_run(mailing, {})
    AttemptFactory.create(delivery__run=run, code=550, answer="5.1.1 <b>no such user</b>", outcome="failed")
    page = browser.get(f"/mailings/{mailing.id}")
    assert "550 5.1.1 <b>no such user</b>" in main(page)


@pytest.mark.parametrize(
    ("state", "has_run", "expected"),
    [
        (MailingState.DRAFT, False, {"start"}),
        (MailingState.SCHEDULED, False, {"start", "pause", "cancel"}),
        (MailingState.RUNNING, True, {"pause", "cancel", "resend-failed"}),
        (MailingState.PAUSED, True, {"resume", "cancel", "resend-failed"}),
        (MailingState.FINISHED, True, {"resend-failed"}),
        (MailingState.CANCELLED, True, set()),
    ],
)
def test_buttons_stand_where_they_apply(
    browser: FlaskClient, user: User, session: Session, state: MailingState, has_run: bool, expected: set[str]
) -> None:
    mailing = MailingFactory.create(owner=user, state=state)
    if has_run:
        create_run(mailing, {DeliveryState.FAILED: 1})
    assert buttons(browser.get(f"/mailings/{mailing.id}").text) == expected
    mailing.disabled_at, mailing.disabled_reason = utcnow(), "spam complaints"
    session.flush()
    page = browser.get(f"/mailings/{mailing.id}").text
    assert buttons(page) == expected - {"start", "resume", "resend-failed"}
    assert "spam complaints" in page


def test_the_live_part_polls_while_running_and_stops_when_finished(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.PENDING: 1}, state=RunState.SENDING)
    url = f"/mailings/{mailing.id}/progress"
    page, fragment = browser.get(f"/mailings/{mailing.id}").text, browser.get(url).text
    assert f'hx-get="{url}"' in page
    assert "every 2s" in fragment
    assert "<html" not in fragment
    mailing.state = MailingState.FINISHED
    session.flush()
    assert "hx-get" not in browser.get(url).text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("window-over", "window was over"),
        ("no-clients", "nobody to send it to"),
        ("refused: 550 5.7.1 go away", "go away"),
        ("", ""),
    ],
)
def test_the_reason_for_a_state_is_a_sentence(
    browser: FlaskClient, user: User, reason: str, words: str
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED, state_reason=reason)
    assert words in main(browser.get(f"/mailings/{mailing.id}"))


# --- Verbs ------------------------------------------------------------------------------------


def test_a_mailing_whose_window_is_open_goes_out_at_once(
    browser: FlaskClient, user: User, smtp: SmtpServer, work: Work
) -> None:
    clients = create_clients(user, 3)
    browser.post("/mailings/new", data=mailing_fields(MessageFactory.create(owner=user)))
    work()
    assert set(smtp.per_address()) == {client.email for client in clients}
    assert set(smtp.per_address().values()) == {1}


def test_pressing_start_twice_sends_once(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    client = ClientFactory.create(owner=user)
    mailing = MailingFactory.create(owner=user)
    for _ in range(2):
        answer = browser.post(f"/mailings/{mailing.id}/start")
        assert answer.location == f"/mailings/{mailing.id}"
    work()
    browser.post(f"/mailings/{mailing.id}/start")
    work()
    assert smtp.per_address() == {client.email: 1}
    assert state_of(mailing, session) is MailingState.FINISHED


def test_pressing_start_twice_sends_a_recurring_mailing_once(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    client = ClientFactory.create(owner=user)
    mailing = MailingFactory.create(
        owner=user, periodicity=Periodicity.DAILY, ends_at=utcnow() + timedelta(days=9)
    )
    for _ in range(2):
        browser.post(f"/mailings/{mailing.id}/start")
        work()
    assert smtp.per_address() == {client.email: 1}
    assert state_of(mailing, session) is MailingState.SCHEDULED

    session.execute(update(Run).values(started_at=utcnow() - timedelta(minutes=1)))
    browser.post(f"/mailings/{mailing.id}/start")
    work()
    assert smtp.per_address() == {client.email: 2}


def test_pause_and_resume_may_be_pressed_twice(browser: FlaskClient, user: User, session: Session) -> None:
    later = utcnow() + timedelta(hours=1)
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=later)
    for verb, state in [("pause", MailingState.PAUSED), ("resume", MailingState.SCHEDULED)]:
        for _ in range(2):
            assert browser.post(f"/mailings/{mailing.id}/{verb}").status_code == 302
            assert state_of(mailing, session) is state


def test_cancel_asks_first(browser: FlaskClient, user: User, session: Session) -> None:
    later = utcnow() + timedelta(hours=1)
    mailing = MailingFactory.create(owner=user, state=MailingState.SCHEDULED, next_run_at=later)
    assert mailing.name in browser.get(f"/mailings/{mailing.id}/cancel").text
    assert state_of(mailing, session) is MailingState.SCHEDULED
    for _ in range(2):
        browser.post(f"/mailings/{mailing.id}/cancel")
        assert state_of(mailing, session) is MailingState.CANCELLED


def test_what_cannot_be_done_is_said(browser: FlaskClient, user: User, session: Session) -> None:
    mailing = MailingFactory.create(owner=user, ends_at=utcnow() - timedelta(seconds=1))
    page = browser.post(f"/mailings/{mailing.id}/start", follow_redirects=True).text
    assert "window of this mailing is over" in page
    assert state_of(mailing, session) is MailingState.DRAFT


def test_failed_letters_are_tried_again_once(
    browser: FlaskClient, user: User, session: Session, smtp: SmtpServer, work: Work
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    create_run(mailing, {DeliveryState.FAILED: 2, DeliveryState.SENT: 1})
    page = browser.post(f"/mailings/{mailing.id}/resend-failed", follow_redirects=True)
    assert "2 letters are tried again" in page.text
    work()
    assert (
        "nothing to resend"
        in browser.post(f"/mailings/{mailing.id}/resend-failed", follow_redirects=True).text
    )
    assert len(smtp.letters) == 2
    assert set(session.scalars(select(Delivery.state))) == {DeliveryState.SENT}


def test_a_test_letter_goes_to_the_owner_alone(browser: FlaskClient, user: User, session: Session) -> None:
    create_clients(user, 2)
    mailing = MailingFactory.create(owner=user)
    page = browser.post(f"/mailings/{mailing.id}/test", follow_redirects=True)
    assert user.email in main(page)
    letter = session.scalars(select(OutboxLetter)).one()
    assert (letter.to, letter.template) == (user.email, "test-letter")
    assert letter.params == {"message_id": mailing.message_id, "client_id": None}


def test_a_disabled_mailing_is_out_of_its_owners_hands(
    browser: FlaskClient, user: User, session: Session
) -> None:
    create_clients(user, 1)
    mailing = MailingFactory.create(owner=user, disabled_at=utcnow(), disabled_reason="complaints")
    page = browser.post(f"/mailings/{mailing.id}/start", follow_redirects=True)
    assert "complaints" in page.text
    fields = mailing_fields(mailing.message, name="Renamed")
    assert "manager has disabled" in browser.post(f"/mailings/{mailing.id}/edit", data=fields).text
    session.refresh(mailing)
    assert (mailing.state, mailing.name != "Renamed") == (MailingState.DRAFT, True)


# --- Editing and deleting ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "has_run", "may"),
    [
        (MailingState.DRAFT, False, True),
        (MailingState.SCHEDULED, False, True),
        (MailingState.PAUSED, False, True),
        (MailingState.PAUSED, True, False),
        (MailingState.RUNNING, True, False),
        (MailingState.FINISHED, True, False),
        (MailingState.CANCELLED, False, False),
    ],
)
def test_only_what_has_not_started_is_edited(
    browser: FlaskClient, user: User, session: Session, state: MailingState, has_run: bool, may: bool
) -> None:
    mailing = MailingFactory.create(owner=user, state=state)
    if has_run:
        create_run(mailing, {DeliveryState.SENT: 1})
    ends = utcnow() + timedelta(days=2)
    fields = mailing_fields(mailing.message, name="Renamed", ends_at=local(ends))
    answer = browser.post(f"/mailings/{mailing.id}/edit", data=fields)
    session.refresh(mailing)
    assert (mailing.name == "Renamed") is may
    if not may:
        assert "cannot be changed" in answer.text
    assert (f"/mailings/{mailing.id}/edit" in browser.get(f"/mailings/{mailing.id}").text) is may


def test_editing_a_recurring_mailing_between_runs_does_not_repeat_the_last_one(
    browser: FlaskClient, user: User, session: Session
) -> None:
    starts = utcnow().replace(second=0, microsecond=0) - timedelta(days=10)
    mailing = MailingFactory.create(
        owner=user, state=MailingState.SCHEDULED, periodicity=Periodicity.WEEKLY, starts_at=starts
    )
    create_run(mailing, {DeliveryState.SENT: 1}, scheduled_for=starts + timedelta(weeks=1))
    fields = mailing_fields(
        mailing.message,
        periodicity="weekly",
        starts_at=local(starts),
        ends_at=local(starts + timedelta(days=90)),
    )
    browser.post(f"/mailings/{mailing.id}/edit", data=fields)
    session.refresh(mailing)
    assert mailing.next_run_at == starts + timedelta(weeks=2)
    # Made to happen once, it has happened.
    browser.post(f"/mailings/{mailing.id}/edit", data=fields | {"periodicity": "once"})
    session.refresh(mailing)
    assert (mailing.state, mailing.next_run_at) == (MailingState.FINISHED, None)


def test_a_mailing_without_runs_is_deleted_after_a_question(
    browser: FlaskClient, user: User, session: Session
) -> None:
    mailing = MailingFactory.create(owner=user)
    mailing_id = mailing.id
    assert mailing.name in browser.get(f"/mailings/{mailing_id}/delete").text
    assert session.scalar(select(Mailing.id)) == mailing_id
    assert browser.post(f"/mailings/{mailing_id}/delete").location == "/mailings/"
    assert session.scalar(select(Mailing.id)) is None


def test_a_mailing_that_has_run_keeps_its_history(browser: FlaskClient, user: User, session: Session) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.PAUSED)
    create_run(mailing, {DeliveryState.SENT: 1})
    page = browser.post(f"/mailings/{mailing.id}/delete").text
    assert "stays on record" in page
    assert f"/mailings/{mailing.id}/cancel" in page
    assert session.scalar(select(Mailing.id)) == mailing.id


# --- Choosing clients -------------------------------------------------------------------------


def chosen_ids(session: Session) -> set[int]:
    return set(session.scalars(select(mailing_clients.c.client_id)))


def test_clients_are_chosen_over_several_searches_without_javascript(
    browser: FlaskClient, user: User, session: Session
) -> None:
    anna = ClientFactory.create(owner=user, full_name="Анна Белова")
    boris = ClientFactory.create(owner=user, full_name="Boris", email="boris@example.org")
    others = create_clients(user, 3)
    fields = mailing_fields(MessageFactory.create(owner=user), name="Kept", audience="selected")

    step = browser.post("/mailings/new", data=fields | {"client_query": "анна", "pick": "search"})
    boxes = soup(step).select("input[type=checkbox][name=clients]")
    assert [box["value"] for box in boxes] == [str(anna.id)]
    assert 'value="Kept"' in step.text

    step = browser.post(
        "/mailings/new",
        data=fields | {"client_query": "BORIS@", "pick": "search", "clients": [anna.id]},
    )
    kept = [field["value"] for field in soup(step).select("input[type=hidden][name=clients]")]
    assert kept == [str(anna.id)]
    assert session.scalar(select(Mailing.id)) is None

    browser.post("/mailings/new", data=fields | {"client_query": "BORIS@", "clients": [*kept, boris.id]})
    assert chosen_ids(session) == {anna.id, boris.id}
    assert not chosen_ids(session) & {other.id for other in others}


def test_enter_saves_nothing_by_a_slip_of_the_hand(
    browser: FlaskClient, user: User, session: Session
) -> None:
    fields = mailing_fields(MessageFactory.create(owner=user), name="Typed")
    step = soup(browser.post("/mailings/new", data=fields | {"pick": "stay"}))
    first = step.select("#mailing-form button[type=submit]")[0]
    assert (first["name"], first["value"]) == ("pick", "stay")
    assert [radio["value"] for radio in step.select("input[name=audience][checked]")] == ["all"]
    assert session.scalar(select(Mailing.id)) is None


def test_all_that_match_are_chosen_by_one_button(browser: FlaskClient, user: User, session: Session) -> None:
    fair = [ClientFactory.create(owner=user, full_name=f"Fair {n}") for n in range(60)]
    create_clients(user, 5)
    ClientFactory.create(full_name="Fair of somebody else")
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected", client_query="fair")
    step = browser.post("/mailings/new", data=fields | {"pick": "all"})
    assert "60 chosen" in main(step)
    page = soup(step)
    ticked = [box["value"] for box in page.select("input[type=checkbox][name=clients][checked]")]
    hidden = [field["value"] for field in page.select("input[type=hidden][name=clients]")]
    assert (len(ticked), len(hidden)) == (50, 1)
    browser.post("/mailings/new", data=fields | {"clients": ticked + hidden})
    assert chosen_ids(session) == {client.id for client in fair}
    assert "0 chosen" in main(
        browser.post("/mailings/new", data=fields | {"clients": hidden, "pick": "none"})
    )


def test_more_matches_come_page_by_page(browser: FlaskClient, user: User) -> None:
    clients = create_clients(user, 55)
    fields = mailing_fields(MessageFactory.create(owner=user), audience="selected")
    data = fields | {"pick": "more", "shown_until": str(clients[49].id), "clients": [clients[0].id]}
    step = soup(browser.post("/mailings/new", data=data))
    values = [box["value"] for box in step.select("input[type=checkbox][name=clients]")]
    assert values == [str(client.id) for client in clients[50:]]
    assert "1 chosen" in step.text


def test_the_picker_opens_with_who_is_chosen_and_shows_them_again(
    browser: FlaskClient, user: User, session: Session
) -> None:
    clients = create_clients(user, 60)
    chosen = [clients[3].id, clients[57].id]
    message = MessageFactory.create(owner=user)
    fields = mailing_fields(message, audience="selected", clients=chosen, draft="1")
    browser.post("/mailings/new", data=fields)
    url = f"/mailings/{session.scalars(select(Mailing.id)).one()}/edit"
    for page in (browser.get(url), browser.post(url, data=fields | {"pick": "chosen"})):
        boxes = soup(page).select("input[type=checkbox][name=clients]")
        assert [box["value"] for box in boxes] == [str(id) for id in chosen]
        assert all(box.has_attr("checked") for box in boxes)


@pytest.mark.parametrize(("suppressed", "words"), [(1, "1 client has"), (2, "Nobody will get")])
def test_suppressed_clients_are_pointed_out(
    browser: FlaskClient, user: User, session: Session, suppressed: int, words: str
) -> None:
    clients = create_clients(user, 2)
    for client in clients[:suppressed]:
        SuppressionFactory.create(owner_id=user.id, email_key=client.email_key)
    fields = mailing_fields(
        MessageFactory.create(owner=user),
        audience="selected",
        clients=[client.id for client in clients],
        starts_at=local(utcnow() + timedelta(hours=2)),
    )
    page = browser.post("/mailings/new", data=fields, follow_redirects=True)
    assert words in page.text
    assert "gets no letters" in browser.get("/mailings/new").text
    assert session.scalars(select(Mailing.audience)).one() is Audience.SELECTED
