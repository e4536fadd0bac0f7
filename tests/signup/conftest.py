"""Provide a form, and a DNS server with the domains that accept mail."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import SignupForm, User
from tests.support.dns_server import DnsServer
from tests.support.signup_factories import SignupFormFactory

ZONE = {("mail.example", "MX"): ["10 mx.mail.example."], ("silent.example", "MX"): ["0 ."]}


@pytest.fixture(autouse=True)
def dns_server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    with DnsServer(dict(ZONE)) as server:
        monkeypatch.setitem(app.config, "DNS_SERVER", server.address)
        yield server


@pytest.fixture
def form(session: Session, user: User) -> SignupForm:
    """Return an open form of `user` that asks for a name and a city, and adds a tag."""
    form: SignupForm = SignupFormFactory.create(owner=user)
    return form
