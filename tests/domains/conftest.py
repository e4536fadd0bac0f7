"""Provide a DNS server, and a domain that its owner has added."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import (
    SendingDomain,
)
from tests.domains.scenes import read_domain
from tests.support.dns_server import DnsServer


@pytest.fixture
def dns(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    with DnsServer({}) as server:
        monkeypatch.setitem(app.config, "DNS_SERVER", server.address)
        yield server


@pytest.fixture
def domain(browser: FlaskClient, session: Session, dns: DnsServer) -> SendingDomain:
    assert browser.post("/domains/new", data={"name": "Shop.example"}).status_code == 302
    return read_domain(session)
