"""Record how people agreed to receive letters, and how they withdrew their consent."""

import hashlib
import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update

from skymailing.clients.rows import ClientRow
from skymailing.clock import utcnow
from skymailing.db.engine import insert_into
from skymailing.extensions import db
from skymailing.models import Client, Consent, ConsentKind, ConsentPurpose, ConsentText, Suppression
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR

TEXT_MAX_LENGTH = 2_000
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of a consent: its source, and the text that the person agreed to."""

    ip: str = ""
    agent: str = ""
    form_id: int | None = None
    text_id: int | None = None
    previous_key: str = ""
    purpose: ConsentPurpose = ConsentPurpose.LETTERS


NO_EVIDENCE = Evidence()


def record(
    owner_id: int, email_key: str, kind: ConsentKind, at: datetime, evidence: Evidence = NO_EVIDENCE
) -> None:
    """Record that the person with this address agreed to something or withdrew consent."""
    record_all(owner_id, [email_key], kind, at, evidence)


def record_all(
    owner_id: int,
    email_keys: Collection[str],
    kind: ConsentKind,
    at: datetime,
    evidence: Evidence = NO_EVIDENCE,
) -> None:
    """Record the same for several addresses; retention removes records without a client."""
    if not email_keys:
        return
    statement = select(Client.email_key).where(Client.owner_id == owner_id, Client.email_key.in_(email_keys))
    clients = set(db.session.scalars(statement))
    values = {
        "owner_id": owner_id,
        "kind": kind,
        "purpose": evidence.purpose,
        "at": at,
        "ip": evidence.ip,
        "agent": evidence.agent,
        "form_id": evidence.form_id,
        "previous_key": evidence.previous_key,
        "text_id": evidence.text_id,
        "created_at": utcnow(),
    }
    rows = [
        values | {"email_key": key, "orphaned_at": None if key in clients else at}
        for key in sorted(email_keys)
    ]
    db.session.execute(insert(Consent), rows)


def store_text(owner_id: int, text: str, now: datetime) -> int | None:
    """Return the ID of the owner's consent text, adding it if it is new; None if it is empty."""
    if not text:
        return None
    digest = hashlib.sha256(text.encode()).hexdigest()
    statement = select(ConsentText.id).where(ConsentText.owner_id == owner_id, ConsentText.digest == digest)
    if (known := db.session.scalar(statement)) is not None:
        return known
    values = {"owner_id": owner_id, "digest": digest, "text": text, "created_at": now}
    db.session.execute(insert_into(ConsentText).values(values).on_conflict_do_nothing())
    return db.session.scalar(statement)


def record_imported(owner_id: int, rows: Sequence[ClientRow], text_id: int | None, now: datetime) -> None:
    """Record the consent of each imported person for whom the owner or the file states one."""
    values = [
        {
            "owner_id": owner_id,
            "email_key": row.email_key,
            "kind": ConsentKind.IMPORTED,
            "at": read_time(row.consent_time) or now,
            "ip": read_ip_address(row.consent_ip),
            "text_id": text_id,
            "created_at": now,
        }
        for row in rows
        if text_id is not None or row.consent_time
    ]
    if values:
        db.session.execute(insert(Consent), values)


def mark_orphaned(owner_id: int, email_keys: Sequence[str], now: datetime) -> None:
    """Mark the consents of deleted clients by their addresses, so that retention removes them."""
    condition = (Consent.owner_id == owner_id) & Consent.email_key.in_(email_keys)
    statement = update(Consent).where(condition).values(orphaned_at=now)
    db.session.execute(statement, execution_options={"synchronize_session": False})


def read_time(text: str) -> datetime | None:
    """Parse a time in ISO format, as UTC unless it has an offset; return None if it is invalid.

    Times that cannot be shown in every time zone are invalid, too.
    """
    try:
        time = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_ip_address(text: str) -> str:
    """Return a valid IP address, or an empty string."""
    try:
        return str(ipaddress.ip_address(text.strip())) if text else ""
    except ValueError:
        return ""


def find_later_confirmation(suppression: Suppression) -> Consent | None:
    """Return the latest confirmed subscription since an address was suppressed, if there is one."""
    same = (Consent.owner_id == suppression.owner_id) & (Consent.email_key == suppression.email_key)
    confirmed = (Consent.purpose == ConsentPurpose.LETTERS) & (Consent.kind == ConsentKind.CONFIRMED)
    later = select(Consent).where(same, confirmed, Consent.at > suppression.created_at)
    return db.session.scalar(later.order_by(Consent.id.desc()).limit(1))


def list_consents(owner_id: int, email_key: str) -> list[Consent]:
    """Return the latest consents of the person with this address, newest first."""
    condition = (Consent.owner_id == owner_id) & (Consent.email_key == email_key)
    return list(
        db.session.scalars(select(Consent).where(condition).order_by(Consent.id.desc()).limit(MAX_SHOWN))
    )
