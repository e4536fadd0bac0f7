"""Reports, clicks and A/B tests through the API."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import (
    Click,
    Delivery,
    DeliveryState,
    Engagement,
    KeyKind,
    MailingState,
    Run,
    RunLink,
    Tag,
    User,
    client_tags,
)
from tests.api.conftest import MakeProgram, Program
from tests.support.factories import (
    ClientFactory,
    MailingFactory,
    MessageFactory,
    create_run,
    create_tested_run,
)


def test_a_report_is_the_same_as_on_the_page(program: Program, user: User) -> None:
    mailing = MailingFactory.create(owner=user, name="News")
    create_run(mailing, {DeliveryState.SENT: 3, DeliveryState.FAILED: 1})
    create_run(MailingFactory.create(), {DeliveryState.SENT: 5})
    report = program.read("/report")
    assert (report["totals"]["sent"], report["totals"]["failed"]) == (3, 1)
    assert [(row["id"], row["name"], row["sent"]) for row in report["mailings"]] == [(mailing.id, "News", 3)]
    assert (len(report["days"]), report["mailing_count"]) == (30, 1)
    assert program.read(f"/report?mailing={mailing.id}")["totals"] == report["totals"]
    assert program.read("/report?since=2026-01-01&until=2026-01-02")["totals"]["sent"] == 0
    assert program.read("/report?q=offers")["mailings"] == []


@pytest.mark.parametrize(
    ("query", "place"),
    [("since=2026-02-02&until=2026-01-01", "until"), ("since=x", "since"), ("mailing=0", "mailing")],
)
def test_a_wrong_period_is_refused(program: Program, query: str, place: str) -> None:
    assert program.refuse("GET", f"/report?{query}") == (422, "invalid", [place])


def test_a_report_on_another_owners_mailing_does_not_exist(program: Program) -> None:
    assert program.refuse("GET", f"/report?mailing={MailingFactory.create().id}")[0] == 404


def make_clicked_run(session: Session, owner: User) -> tuple[Run, list[Delivery]]:
    mailing = MailingFactory.create(owner=owner)
    run = create_run(mailing, {DeliveryState.SENT: 3}, track_clicks=True, track_opens="day", clicked=2)
    found = select(Delivery).where(Delivery.run_id == run.id).order_by(Delivery.id)
    letters = list(session.scalars(found))
    about: dict[str, Any] = {"run_id": run.id, "mailing_id": mailing.id}
    session.add(RunLink(run_id=run.id, number=1, url="https://shop.example/", people=2, clicks=3))
    session.add(RunLink(run_id=run.id, number=2, url="https://shop.example/sale", people=1, clicks=1))
    for letter, clicks in zip(letters, (3, 1), strict=False):
        session.add(Engagement(delivery_id=letter.id, clicks=clicks, first_click_at=1_000, **about))
    for letter, number in ((letters[0], 1), (letters[0], 2), (letters[1], 1)):
        times = {"first_at": 1_000, "last_at": 1_000}
        session.add(Click(delivery_id=letter.id, number=number, run_id=run.id, clicks=1, **times))
    session.flush()
    return run, letters


def test_clicks_are_listed_by_link_and_by_person(program: Program, session: Session, user: User) -> None:
    run, letters = make_clicked_run(session, user)
    shown = program.read(f"/runs/{run.id}/clicks")
    assert (shown["people"], shown["opened"]) == (2, 0)
    assert [(link["url"], link["people"]) for link in shown["links"]] == [
        ("https://shop.example/", 2),
        ("https://shop.example/sale", 1),
    ]
    people = program.read_all(f"/runs/{run.id}/clicks/people?limit=1")
    assert [(row["delivery_id"], row["email"], row["clicks"]) for row in people] == [
        (letters[0].id, letters[0].email, 3),
        (letters[1].id, letters[1].email, 1),
    ]
    assert people[0]["first_at"] == "1970-01-01T00:00:01+00:00"
    (person,) = program.read_all(f"/runs/{run.id}/clicks/people?link=2&limit=1")
    assert person["email"] == letters[0].email


def test_a_run_without_tracking_has_no_clicks(program: Program, user: User) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 1})
    empty: dict[str, Any] = {"people": 0, "machine_clicks": 0, "opened": None, "links": []}
    assert program.read(f"/runs/{run.id}/clicks") == empty
    assert program.read_all(f"/runs/{run.id}/clicks/people") == []


def test_results_are_broken_down_by_domain_tag_and_hour(
    program: Program, session: Session, user: User
) -> None:
    run, letters = make_clicked_run(session, user)
    tag = Tag(owner_id=user.id, name="Omsk", name_key="omsk")
    session.add(tag)
    session.flush()
    session.execute(insert(client_tags).values(tag_id=tag.id, client_id=letters[0].client_id))
    letters[2].email_key = "p@other.example"
    session.flush()
    shown = program.read(f"/runs/{run.id}/breakdown")
    numbers = [(row["domain"], row["sent"], row["unsent"], row["clicked"]) for row in shown["domains"]]
    assert numbers == [(letters[0].email.partition("@")[2], 2, 0, 2), ("other.example", 1, 0, 0)]
    (part,) = shown["parts"]
    assert (part["name"], part["sent"], part["clicked"], part["opened"]) == ("Omsk", 1, 1, 0)
    (hour,) = shown["hours"]
    assert (hour["sent"], hour["begins_at"][13:]) == (3, ":00:00+00:00")


def values(user: User, **more: Any) -> dict[str, Any]:
    message, ends_at = MessageFactory.create(owner=user), utcnow() + timedelta(days=1)
    about = {"name": "News", "message_id": message.id, "audience": "all", "periodicity": "once"}
    return about | {"ends_at": ends_at.isoformat(), "draft": True} | more


def test_a_mailing_has_an_ab_test(program: Program, user: User) -> None:
    other = MessageFactory.create(owner=user)
    variants = [
        {"subject": "Hello", "sender_name": "", "message_id": None},
        {"subject": "", "sender_name": "Anna", "message_id": other.id},
    ]
    test = {"variants": variants, "sample_percent": 30, "test_hours": 2, "winner_by": "owner"}
    created = program.write("POST", "/mailings", values(user, **test), 201)
    assert {name: created[name] for name in test} == test
    path = f"/mailings/{created['id']}"
    assert program.write("PATCH", path, {"name": "Other"})["variants"] == variants
    assert program.read_all("/mailings")[0]["variants"] == variants
    without = program.write("PATCH", path, {"variants": []})
    assert (without["variants"], without["sample_percent"]) == ([], 0)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"variants": [{"subject": "a"}, {"subject": "{{"}]}, "/variants/1/subject"),
        ({"variants": [{"message_id": 999_999}]}, "/variants/0/message_id"),
        ({"variants": [{"subject": "a"}] * 4}, "/variants"),
        ({"variants": [{"subject": "a"}], "sample_percent": 5}, "/sample_percent"),
        ({"variants": [{"subject": "a"}], "winner_by": "clicks"}, "/winner_by"),
    ],
)
def test_errors_of_a_test_name_the_variant(
    program: Program, user: User, change: dict[str, Any], place: str
) -> None:
    assert place in program.refuse("POST", "/mailings", values(user, winner_by="owner") | change)[2]


def test_the_owner_chooses_the_winner(program: Program, make_program: MakeProgram, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    run = create_tested_run(mailing, {DeliveryState.PENDING: 1})
    path = f"/runs/{run.id}"
    shown = program.read(f"{path}/test")
    assert [variant["number"] for variant in shown["variants"]] == [1, 2]
    assert (shown["winner"], shown["winner_by"], shown["decision"]) == (None, "owner", None)
    tester = make_program(user, kind=KeyKind.TEST)
    assert tester.refuse("POST", f"{path}/winner", {"number": 2})[1] == "test_key"
    assert program.refuse("POST", f"{path}/winner", {"number": 3})[0] == 404
    chosen = program.write("POST", f"{path}/winner", {"number": 2})
    assert (chosen["winner"], chosen["decision"]) == (2, "owner")
    assert program.refuse("POST", f"{path}/winner", {"number": 1})[:2] == (409, "mailing_winner_chosen")


def test_a_run_without_a_test_has_empty_results(program: Program, user: User) -> None:
    run = create_run(MailingFactory.create(owner=user), {DeliveryState.SENT: 1})
    shown = program.read(f"/runs/{run.id}/test")
    assert (shown["ends_at"], shown["winner_by"], shown["variants"]) == (None, None, [])


def test_the_selected_clients_of_a_mailing_are_listed(program: Program, user: User) -> None:
    clients = [ClientFactory.create(owner=user) for _ in range(3)]
    choice = {"audience": "selected", "clients": [client.id for client in clients[1:]]}
    created = program.write("POST", "/mailings", values(user, **choice), 201)
    rows = program.read_all(f"/mailings/{created['id']}/clients?limit=1")
    assert rows == [{"id": client.id, "email": client.email} for client in clients[1:]]
