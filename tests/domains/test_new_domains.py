"""Test domains as people type them, which domains are rejected, and when domains are checked."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.domains.tasks import find_due_domains
from skymailing.extensions import db
from skymailing.models import (
    SendingDomain,
    User,
)
from tests.conftest import SetLimits
from tests.domains.scenes import read_domain
from tests.mailings.pages import get_field_error
from tests.support.dns_server import DnsServer


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("SHOP.example", "shop.example"),
        ("https://www.shop.example/about?x=1", "shop.example"),
        ("anna@shop.example", "shop.example"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
    ],
)
def test_a_typed_or_pasted_domain_is_normalized(
    session: Session, browser: FlaskClient, dns: DnsServer, typed: str, stored: str
) -> None:
    assert browser.post("/domains/new", data={"name": typed}).status_code == 302
    assert read_domain(session, stored).name == stored


@pytest.mark.one_engine
def test_invalid_domains_are_rejected(
    session: Session, browser: FlaskClient, set_limits: SetLimits, dns: DnsServer
) -> None:
    for name, text in (
        ("", "such as example.com"),
        ("shop", "such as example.com"),
        ("shop example.com", "such as example.com"),
        ("a" * 64 + ".example", "such as example.com"),
        ("gmail.com", "belongs to a mail provider"),
        ("mail.ru", "belongs to a mail provider"),
    ):
        assert text in get_field_error(browser.post("/domains/new", data={"name": name}), "name"), name
    browser.post("/domains/new", data={"name": "shop.example"})
    again = browser.post("/domains/new", data={"name": "shop.example"})
    assert "already added" in get_field_error(again, "name")
    set_limits(domains=1)
    full = browser.post("/domains/new", data={"name": "other.example"})
    assert "up to 1 domains" in get_field_error(full, "name")
    assert session.scalars(select(SendingDomain.name)).all() == ["shop.example"]


def test_domains_are_checked_when_due(app: Flask, session: Session, user: User) -> None:
    now = utcnow()

    def add(name: str, **values: object) -> int:
        added = SendingDomain(owner_id=user.id, name=name, token="t", **{"created_at": now, **values})
        session.add(added)
        session.flush()
        return added.id

    unseen = add("a.example")
    asked = add("b.example", checked_at=now, check_requested_at=now)
    hour = timedelta(hours=1)
    new = add("c.example", checked_at=now - hour)
    add("d.example", checked_at=now - hour, created_at=now - timedelta(days=4))
    add("e.example", checked_at=now - hour, verified_at=now)
    old = add("f.example", checked_at=now - 25 * hour, verified_at=now)
    with app.app_context():
        assert find_due_domains(now) == [unseen, old, new, asked]
        db.session.rollback()
