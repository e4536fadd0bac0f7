"""Create domains' DNS records and senders, and check signatures."""

from datetime import datetime

import dkim
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.domains.records import list_records
from skymailing.domains.tasks import check_domain
from skymailing.models import (
    Sender,
    SendingDomain,
    User,
)
from tests.support.dns_server import DnsServer
from tests.support.servers import Letter


def read_domain(session: Session, name: str = "shop.example") -> SendingDomain:
    chosen = select(SendingDomain).where(SendingDomain.name == name).order_by(SendingDomain.id)
    return session.scalars(chosen.execution_options(populate_existing=True)).all()[-1]


def publish(dns: DnsServer, domain: SendingDomain) -> None:
    """Create the records that the domain's page shows."""
    for record in list_records(domain):
        parts = [record.value[start : start + 200] for start in range(0, len(record.value), 200)]
        dns.zone[record.name, "TXT"] = [" ".join(f'"{part}"' for part in parts)]


def check(app: Flask, session: Session, domain: SendingDomain, now: datetime | None = None) -> SendingDomain:
    with app.app_context():
        check_domain(domain.id, now or utcnow())
    return read_domain(session, domain.name)


def add_sender(session: Session, owner: User, address: str, **values: object) -> Sender:
    sender = Sender(owner_id=owner.id, name="Shop", address=address, address_key=address, **values)
    session.add(sender)
    session.flush()
    return sender


def read_sender(session: Session, sender: Sender) -> Sender:
    session.refresh(sender)
    return sender


def has_signature(letter: Letter, dns: DnsServer) -> bool:
    """Return whether the letter has a signature that its domain's records confirm."""

    def query(name: bytes, timeout: int = 5) -> bytes | None:
        texts = dns.zone.get((name.decode().rstrip("."), "TXT"))
        return "".join(texts[0].split('"')[1::2]).encode() if texts else None

    return b"DKIM-Signature:" in letter.content and bool(dkim.verify(letter.content, dnsfunc=query))


def sign(letter: bytes, key: bytes, domain: str, *headers: str) -> bytes:
    """Return the letter with the signature that a mail server adds."""
    names = [name.encode() for name in ("from", "subject", *headers)]
    return bytes(dkim.sign(letter, b"mail", domain.encode(), key, include_headers=names)) + letter
