"""Purchases that a shop reports: crediting, repeated reports, refunds, and refused values."""

import csv
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skymailing.clients.suppression import remember_merge
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Client, MailingKind, Purchase, User
from tests.api.conftest import MakeProgram, Program
from tests.support.factories import ClientFactory, UserFactory
from tests.support.sales import PurchaseFactory, click, send_letter


@pytest.fixture
def client(user: User) -> Client:
    client: Client = ClientFactory.create(owner=user, email="Anna@example.org")
    return client


def order(client: Client | None = None, **values: Any) -> dict[str, Any]:
    about = {"client_id": client.id} if client else {}
    return {"order_number": "1001", "amount": "1499.90", "currency": "RUB"} | about | values


def test_a_purchase_is_credited_to_the_mailing_that_was_clicked_last(
    program: Program, session: Session, client: Client
) -> None:
    earlier, later, unclicked = (send_letter(client) for _number in range(3))
    click(earlier, utcnow() - timedelta(days=3))
    click(later, utcnow() - timedelta(hours=1))
    reported = program.write("POST", "/purchases", order(client), 201)
    assert reported["mailing_id"] == later.run.mailing_id
    assert reported["run_id"] == later.run_id
    assert reported["amount"] == "1499.90"
    assert unclicked.run.mailing_id != later.run.mailing_id
    stored = session.scalars(select(Purchase)).one()
    assert (stored.amount, stored.currency, stored.client_id) == (149990, "RUB", client.id)
    assert program.read(f"/purchases/{reported['id']}") == reported


def test_only_clicks_of_the_week_before_count(program: Program, client: Client) -> None:
    bought_at = utcnow() - timedelta(days=2)
    too_early, just_in_time, too_late = (send_letter(client) for _number in range(3))
    click(too_early, bought_at - timedelta(days=7, minutes=1))
    click(too_late, bought_at + timedelta(minutes=1))
    values = {"purchased_at": bought_at.isoformat()}
    assert program.write("POST", "/purchases", order(client, **values), 201)["mailing_id"] is None
    click(just_in_time, bought_at - timedelta(days=6, hours=23))
    reported = program.write("POST", "/purchases", order(client, order_number="2", **values), 201)
    assert reported["mailing_id"] == just_in_time.run.mailing_id


def test_a_click_before_the_purchase_counts_although_the_client_clicked_again_after_it(
    program: Program, client: Client
) -> None:
    bought_at = utcnow() - timedelta(days=1)
    letter = send_letter(client)
    click(letter, bought_at - timedelta(hours=1), last_at=int(utcnow().timestamp() * 1000), clicks=2)
    reported = program.write("POST", "/purchases", order(client, purchased_at=bought_at.isoformat()), 201)
    assert reported["mailing_id"] == letter.run.mailing_id


@pytest.mark.parametrize("kind", [MailingKind.SEQUENCE, MailingKind.CAUGHT, MailingKind.TRANSACTIONAL])
def test_purchases_are_credited_to_sequences_but_not_to_transactional_letters(
    program: Program, client: Client, kind: MailingKind
) -> None:
    click(send_letter(client, kind), utcnow() - timedelta(hours=1))
    reported = program.write("POST", "/purchases", order(client), 201)
    assert (reported["mailing_id"] is not None) is (kind is MailingKind.SEQUENCE)


def test_clicks_of_machines_and_of_other_clients_do_not_count(
    program: Program, user: User, client: Client
) -> None:
    click(send_letter(client), utcnow(), was_person=False, clicks=0, machine_clicks=3)
    click(send_letter(ClientFactory.create(owner=user)), utcnow() - timedelta(hours=1))
    assert program.write("POST", "/purchases", order(client), 201)["mailing_id"] is None


def test_a_repeated_report_is_harmless(program: Program, session: Session, client: Client) -> None:
    first = program.write("POST", "/purchases", order(client), 201)
    click(send_letter(client), utcnow())
    assert program.write("POST", "/purchases", order(client)) == first
    assert session.scalar(select(func.count()).select_from(Purchase)) == 1


def test_an_order_that_is_reported_several_times_at_once_is_stored_once(
    make_program: MakeProgram, session: Session, user: User, client: Client
) -> None:
    programs = [make_program(user) for _number in range(6)]
    body = order(client)
    with ThreadPoolExecutor(len(programs)) as threads:
        responses = list(threads.map(lambda program: program.post("/purchases", body), programs))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [201]
    assert len({response.text for response in responses}) == 1
    assert session.scalar(select(func.count()).select_from(Purchase)) == 1


def test_a_client_can_be_deleted_while_purchases_are_reported(make_program: MakeProgram, user: User) -> None:
    ids = [client.id for client in ClientFactory.create_batch(20, owner=user)]
    programs = [make_program(user) for _number in range(5)]

    def change(number: int, client_id: int) -> int:
        if number == 0:
            return programs[0].send("DELETE", f"/clients/{client_id}").status_code
        body = order(client_id=client_id, order_number=f"{client_id}-{number}")
        return programs[number].post("/purchases", body).status_code

    for client_id in ids:
        with ThreadPoolExecutor(len(programs)) as threads:
            deleted, *reported = threads.map(change, range(len(programs)), [client_id] * len(programs))
        assert deleted == 204
        assert set(reported) <= {201, 422}


def test_clients_can_be_merged_while_purchases_are_reported(
    make_program: MakeProgram, browser: FlaskClient, session: Session, user: User
) -> None:
    pairs = [ClientFactory.create_batch(2, owner=user) for _number in range(15)]
    programs = [make_program(user) for _number in range(4)]

    def report(number: int, email: str) -> int:
        body = order(email=email, order_number=f"{email}-{number}")
        return programs[number].post("/purchases", body).status_code

    for kept, merged in pairs:
        data = {"other": kept.id, "keep": kept.id}
        with ThreadPoolExecutor(len(programs) + 1) as threads:
            page = threads.submit(browser.post, f"/clients/{merged.id}/merge", data=data)
            statuses = set(threads.map(report, range(len(programs)), [merged.email] * len(programs)))
        assert page.result().status_code == 302
        assert statuses == {201}
    buyers = set(session.scalars(select(Purchase.client_id)))
    assert buyers == {kept.id for kept, _merged in pairs}


def test_a_refund_replaces_only_the_amount(program: Program, session: Session, client: Client) -> None:
    click(send_letter(client), utcnow() - timedelta(minutes=1))
    first = program.write("POST", "/purchases", order(client), 201)
    # The shop need not name the client again, since the client may have been deleted.
    assert program.write("POST", "/purchases", order(amount="0")) == first | {"amount": "0.00"}
    assert program.write("POST", "/purchases", order(amount="500")) == first | {"amount": "500.00"}
    assert program.send("DELETE", f"/purchases/{first['id']}").status_code == 204
    assert session.scalars(select(Purchase)).all() == []


def test_clients_are_found_by_address_even_after_a_merge(
    app: Flask, program: Program, user: User, client: Client
) -> None:
    by_address = program.write("POST", "/purchases", order(email="anna@EXAMPLE.org"), 201)
    assert by_address["client_id"] == client.id
    with app.app_context():
        remember_merge(user.id, "old@example.org", client.email_key, utcnow())
        db.session.commit()
    merged = program.write("POST", "/purchases", order(order_number="2", email="old@example.org"), 201)
    assert merged["client_id"] == client.id


@pytest.mark.parametrize(
    ("values", "code", "place"),
    [
        ({"email": "unknown@example.org"}, "purchase_client_unknown", "/email"),
        ({"client_id": 2**40}, "purchase_client_unknown", "/client_id"),
        ({}, "purchase_client_missing", "/client_id"),
        ({"email": "x"}, "address_no_at_sign", "/email"),
        ({"amount": "1.999"}, "purchase_amount", "/amount"),
        ({"amount": "10.5", "currency": "JPY"}, "purchase_amount", "/amount"),
        ({"amount": "999999999999999"}, "purchase_amount", "/amount"),
        ({"currency": "ZZZ"}, "purchase_currency", "/currency"),
        ({"amount": "-5"}, "invalid", "/amount"),
        ({"amount": 5}, "invalid", "/amount"),
        ({"amount": "1e3"}, "invalid", "/amount"),
        ({"currency": "rub"}, "invalid", "/currency"),
        ({"order_number": ""}, "invalid", "/order_number"),
    ],
)
def test_wrong_values_are_refused(
    program: Program, session: Session, client: Client, values: dict[str, Any], code: str, place: str
) -> None:
    names_no_one = code.startswith(("purchase_client", "address"))
    body = order(None if names_no_one else client) | values
    assert program.refuse("POST", "/purchases", body) == (422, code, [place])
    assert session.scalars(select(Purchase)).all() == []


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_a_purchase_cannot_be_before_1970(program: Program, client: Client, at: str) -> None:
    refusal = program.refuse("POST", "/purchases", order(client, purchased_at=at))
    assert refusal == (422, "time_year_out_of_range", ["/purchased_at"])


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [("1.5", "HUF", "1.50"), ("2.555", "IQD", "2.555"), ("3", "JPY", "3"), ("0.0001", "CLF", "0.0001")],
)
def test_currencies_have_the_decimals_of_the_standard(
    program: Program, browser: FlaskClient, client: Client, amount: str, currency: str, written: str
) -> None:
    reported = program.write("POST", "/purchases", order(client, amount=amount, currency=currency), 201)
    assert reported["amount"] == written
    assert written in browser.get(f"/clients/{client.id}").text


def test_a_purchase_cannot_be_in_the_future(program: Program, client: Client) -> None:
    tomorrow = (utcnow() + timedelta(days=1)).isoformat()
    refusal = program.refuse("POST", "/purchases", order(client, purchased_at=tomorrow))
    assert refusal == (422, "purchase_in_future", ["/purchased_at"])


def test_other_owners_clients_and_orders_are_unknown(
    make_program: MakeProgram,
    program: Program,
    client: Client,
) -> None:
    other = make_program(UserFactory.create())
    reported = program.write("POST", "/purchases", order(client), 201)
    assert other.refuse("POST", "/purchases", order(client))[1] == "purchase_client_unknown"
    assert other.send("DELETE", f"/purchases/{reported['id']}").status_code == 404
    # Both owners may use the same order numbers.
    own = ClientFactory.create(owner=UserFactory.create())
    assert make_program(own.owner).write("POST", "/purchases", order(own), 201)["id"] != reported["id"]


def test_a_purchase_in_the_last_moment_of_a_day_belongs_to_this_day(
    program: Program, browser: FlaskClient, client: Client
) -> None:
    at = utcnow().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(microseconds=1)
    click(send_letter(client), at - timedelta(hours=1))
    program.write("POST", "/purchases", order(client, purchased_at=at.isoformat()), 201)
    page = browser.get(f"/reports/report.csv?since={at.date()}&until={at.date()}")
    (row,) = csv.DictReader(page.text.lstrip("\ufeff").splitlines())
    assert (row["day"], row["revenue_RUB"]) == (at.date().isoformat(), "1499.90")


def test_purchases_are_listed_by_client_mailing_and_order(program: Program, client: Client) -> None:
    letter = send_letter(client)
    credited = PurchaseFactory.create(client=client, delivery=letter)
    other = PurchaseFactory.create(client=ClientFactory.create(owner=client.owner), order_number="B 7/2")

    def list_ids(query: str) -> list[int]:
        return [row["id"] for row in program.read_all(f"/purchases?{query}")]

    assert list_ids("limit=1") == [credited.id, other.id]
    assert list_ids(f"client_id={client.id}") == [credited.id]
    assert list_ids(f"mailing_id={letter.run.mailing_id}") == [credited.id]
    assert list_ids("order_number=B%207/2") == [other.id]


def test_test_keys_cannot_report_purchases(
    make_program: MakeProgram,
    user: User,
    client: Client,
) -> None:
    tester = make_program(user, kind="test")
    assert tester.refuse("POST", "/purchases", order(client))[:2] == (403, "test_key")
