"""The DNS records of a sending domain: those that its owner should create, and those found in DNS."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from skymailing.dns.client import DnsClient, DnsUnavailable, RecordMissing
from skymailing.dns.records import BadRecord, NoRecord, read_dmarc, read_tags
from skymailing.models import RecordState, SendingDomain

FOUND_LENGTH = 500  # characters; longer DNS answers are cut off


class Purpose(StrEnum):
    OWNERSHIP = "ownership"
    SIGNATURE = "signature"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A TXT record that the owner should create; for the policy, other values are also valid."""

    purpose: Purpose
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of looking up a record in DNS."""

    state: RecordState
    found: str = ""


def list_records(domain: SendingDomain) -> list[DnsRecord]:
    """Return the records that the domain needs: ownership, the newest signing key, policy."""
    records = [DnsRecord(Purpose.OWNERSHIP, f"_skymailing.{domain.name}", f"skymailing={domain.token}")]
    if domain.is_signed and domain.keys:
        key = domain.keys[-1]
        name = f"{key.selector}._domainkey.{domain.name}"
        records.append(DnsRecord(Purpose.SIGNATURE, name, f"v=DKIM1; k=rsa; p={key.public}"))
    return [*records, DnsRecord(Purpose.POLICY, f"_dmarc.{domain.name}", "v=DMARC1; p=none")]


def query_dns(domain: str, records: list[DnsRecord]) -> dict[Purpose, Finding]:
    """Compare the records with DNS. A query takes up to three seconds, so only workers make one."""
    client = DnsClient()
    compare: dict[Purpose, Callable[[DnsRecord], Finding]] = {
        Purpose.OWNERSHIP: lambda record: _compare(client, record, str.strip),
        Purpose.SIGNATURE: lambda record: _compare(client, record, _read_key),
        Purpose.POLICY: lambda record: _check_policy(client, record, domain),
    }
    return {record.purpose: _find(compare[record.purpose], record) for record in records}


def _find(compare: Callable[[DnsRecord], Finding], record: DnsRecord) -> Finding:
    try:
        return compare(record)
    except DnsUnavailable:
        return Finding(RecordState.UNKNOWN)


def _compare(client: DnsClient, record: DnsRecord, read: Callable[[str], str]) -> Finding:
    """Look for a published record equal to the expected one after `read` has normalized both."""
    texts = _read_texts(client, record)
    if read(record.value) in map(read, texts):
        return Finding(RecordState.FOUND)
    return _describe_mismatch(texts) if texts else Finding(RecordState.MISSING)


def _check_policy(client: DnsClient, record: DnsRecord, domain: str) -> Finding:
    try:
        read_dmarc(client, domain)
    except NoRecord:
        return Finding(RecordState.MISSING)
    except BadRecord:
        return _describe_mismatch(_read_texts(client, record))
    return Finding(RecordState.FOUND)


def _read_texts(client: DnsClient, record: DnsRecord) -> list[str]:
    try:
        return client.query(record.name, "TXT")
    except RecordMissing:
        return []


def _describe_mismatch(texts: list[str]) -> Finding:
    return Finding(RecordState.WRONG, " | ".join(texts)[:FOUND_LENGTH])


def _read_key(text: str) -> str:
    return "".join(read_tags(text).get("p", "").split())
