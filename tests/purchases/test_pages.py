"""Purchases on pages and in reports, and what happens to them when clients are deleted or merged."""

import csv
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.bulk import sizes
from skymailing.clock import utcnow
from skymailing.models import BulkChunk, Client, Delivery, Purchase, Run, User
from skymailing.retention.batches import TimeBudget
from skymailing.retention.housekeeping import forget_buyers
from tests.clients.pages import find_undo_url
from tests.mailings.pages import get_main_text
from tests.support.factories import ClientFactory, UserFactory
from tests.support.jobs import run_jobs
from tests.support.sales import PurchaseFactory, send_letter


@pytest.fixture
def client(user: User) -> Client:
    client: Client = ClientFactory.create(owner=user)
    return client


@pytest.fixture
def letter(client: Client) -> Delivery:
    return send_letter(client, planned=1)


def list_pages(run: Run) -> list[str]:
    return [f"/mailings/runs/{run.id}", f"/mailings/{run.mailing_id}", "/reports/"]


def test_pages_show_orders_and_the_revenue_in_each_currency(
    browser: FlaskClient, client: Client, letter: Delivery
) -> None:
    PurchaseFactory.create_batch(2, client=client, delivery=letter, amount=150_000)
    PurchaseFactory.create(client=client, delivery=letter, amount=1990, currency="USD")
    PurchaseFactory.create(client=client, delivery=letter, amount=0)  # refunded
    PurchaseFactory.create(client=client)  # without a click before
    for page in list_pages(letter.run):
        text = get_main_text(browser.get(page))
        assert "3 orders" in text, page
        assert "RUB 3,000" in text
        assert "$19.90" in text


def test_owners_without_purchases_see_nothing_about_them(
    session: Session, browser: FlaskClient, client: Client, letter: Delivery
) -> None:
    other = send_letter(ClientFactory.create(owner=UserFactory.create()))
    PurchaseFactory.create(client=session.get_one(Client, other.client_id), delivery=other)
    for page in (*list_pages(letter.run), f"/clients/{client.id}", "/segments/new"):
        text = browser.get(page).text
        assert "Revenue" not in text, page
        assert "Purchase" not in text, page
    assert "orders" not in browser.get("/reports/report.csv").text


def test_a_clients_page_lists_purchases_with_their_mailings(
    browser: FlaskClient, client: Client, letter: Delivery
) -> None:
    PurchaseFactory.create(client=client, delivery=letter, order_number="<1001>")
    PurchaseFactory.create(client=client, amount=0)
    text = get_main_text(browser.get(f"/clients/{client.id}"))
    assert "Order <1001>" in text
    assert letter.run.mailing.name in text
    assert "refunded" in text
    assert "1 order: RUB 1,499.90" in text.replace("\xa0", " ")


def test_the_csv_file_has_columns_for_orders_and_revenues(
    browser: FlaskClient, client: Client, letter: Delivery
) -> None:
    # On a day on which nothing was sent.
    earlier = utcnow() - timedelta(days=3)
    PurchaseFactory.create(client=client, delivery=letter, purchased_at=earlier)
    PurchaseFactory.create(client=client, delivery=letter, purchased_at=earlier, currency="EUR", amount=5)
    rows = list(csv.DictReader(browser.get("/reports/report.csv").text.lstrip("\ufeff").splitlines()))
    assert list(rows[0])[-4:] == ["orders", "revenue_EUR", "revenue_RUB", "tracked"]
    assert [(row["day"], row["orders"], row["revenue_EUR"], row["revenue_RUB"]) for row in rows] == [
        (earlier.date().isoformat(), "2", "0.05", "1499.90"),
        (utcnow().date().isoformat(), "0", "0.00", "0.00"),
    ]
    assert rows[0]["mailing"] == letter.run.mailing.name


def test_sums_may_exceed_64_bits(browser: FlaskClient, client: Client, letter: Delivery) -> None:
    PurchaseFactory.create_batch(2, client=client, delivery=letter, amount=2**62)
    for page in (*list_pages(letter.run), f"/clients/{client.id}", "/reports/report.csv"):
        assert "92233720368547758.08" in browser.get(page).text.replace(",", ""), page


def test_a_report_on_one_mailing_counts_only_its_sales(
    browser: FlaskClient, client: Client, letter: Delivery
) -> None:
    other = send_letter(client)
    PurchaseFactory.create(client=client, delivery=letter)
    PurchaseFactory.create_batch(2, client=client, delivery=other)
    text = get_main_text(browser.get(f"/reports/?mailing={other.run.mailing_id}"))
    assert "2 orders" in text
    assert "3 orders" in get_main_text(browser.get("/reports/"))


def test_what_a_mailing_sold_stays_when_its_client_is_deleted(
    session: Session, browser: FlaskClient, client: Client, letter: Delivery
) -> None:
    purchase = PurchaseFactory.create(client=client, delivery=letter)
    data = {"action": "delete", "ids": [client.id], "confirmed": "1"}
    url = find_undo_url(browser.post("/clients/bulk", data=data, follow_redirects=True).text)
    session.expire_all()
    assert (purchase.client_id, purchase.run_id) == (None, letter.run_id)
    assert "1 order" in get_main_text(browser.get(f"/mailings/runs/{letter.run_id}"))
    browser.post(url)
    session.expire_all()
    restored = session.scalars(select(Client).where(Client.owner_id == purchase.owner_id)).one()
    assert purchase.client_id == restored.id


def test_clients_with_many_purchases_are_deleted_few_at_a_time(
    app: Flask, session: Session, browser: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = ClientFactory.create_batch(3, owner=user)
    for client in clients:
        PurchaseFactory.create_batch(2, client=client)
    monkeypatch.setattr(sizes, "MAX_LETTERS", 4)
    data = {"action": "delete", "confirmed": "1", "ids": [client.id for client in clients]}
    browser.post("/clients/bulk", data=data)
    run_jobs(app)
    assert [len(content) for content in session.scalars(select(BulkChunk.content))] == [2, 1]
    assert session.scalars(select(Client)).all() == []


def test_undoing_a_deletion_leaves_a_new_purchase_with_the_number_of_a_removed_one(
    session: Session, browser: FlaskClient, user: User, client: Client
) -> None:
    purchase, buyer = PurchaseFactory.create(client=client), ClientFactory.create(owner=user)
    data = {"action": "delete", "ids": [client.id], "confirmed": "1"}
    url = find_undo_url(browser.post("/clients/bulk", data=data, follow_redirects=True).text)
    session.delete(purchase)
    session.flush()
    new = PurchaseFactory.create(client=buyer, id=purchase.id)
    browser.post(url)
    session.expire_all()
    assert new.client_id == buyer.id


def test_merging_moves_purchases_and_its_undo_moves_them_back(
    session: Session, browser: FlaskClient, user: User, client: Client
) -> None:
    email = client.email
    kept: Client = ClientFactory.create(owner=user)
    own, moved = PurchaseFactory.create(client=kept), PurchaseFactory.create(client=client)
    data = {"other": kept.id, "keep": kept.id}
    page = browser.post(f"/clients/{client.id}/merge", data=data, follow_redirects=True)
    session.expire_all()
    assert {own.client_id, moved.client_id} == {kept.id}
    browser.post(find_undo_url(page.text))
    session.expire_all()
    restored = session.scalars(select(Client).where(Client.email == email)).one()
    assert (own.client_id, moved.client_id) == (kept.id, restored.id)


def test_old_purchases_lose_their_clients_but_keep_their_amounts(
    app: Flask, session: Session, client: Client, letter: Delivery
) -> None:
    cutoff = utcnow() - timedelta(days=30)
    old = PurchaseFactory.create(client=client, delivery=letter, purchased_at=cutoff - timedelta(hours=1))
    new = PurchaseFactory.create(client=client, purchased_at=cutoff + timedelta(hours=1))
    with app.app_context():
        forget_buyers(cutoff, TimeBudget(10))
    session.expire_all()
    assert (old.client_id, old.amount, old.mailing_id) == (None, 149990, letter.run.mailing_id)
    assert new.client_id == client.id
    assert set(session.scalars(select(Purchase))) == {old, new}
