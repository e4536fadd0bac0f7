"""Read the records of a mail domain that receivers look up: MX, SPF, DKIM and DMARC."""

import base64
import binascii
import re

from skymailing.dns.client import DnsClient, RecordMissing

MAX_LOOKUPS = 10  # RFC 7208, section 4.6.4
SPF_LOOKUP = re.compile(r"[+?~-]?(include|a|mx|ptr|exists)(?:[:/]|$)|redirect=", re.IGNORECASE)
SPF_REFERENCE = re.compile(r"[+?~-]?include:(\S+)|redirect=(\S+)", re.IGNORECASE)
MAX_DMARC_LABELS = 7  # of the longest parent that is queried; a limit, because a query can take seconds
DMARC_POLICIES = ("none", "quarantine", "reject")
MIN_RSA_BYTES = 150  # size of an encoded key: 1024 bits need 162 bytes, 512 bits need 94


class BadRecord(Exception):
    """A record is missing or does not work; the message states the reason."""


class NoRecord(BadRecord):
    """The record does not exist."""


def find_mail_host(client: DnsClient, domain: str) -> str:
    """Describe where a domain accepts mail. Like the functions below, raises BadRecord and DnsUnavailable."""
    try:
        hosts = [record.partition(" ")[2] for record in client.query(domain, "MX")]
    except RecordMissing:
        if client.exists(domain, "A") or client.exists(domain, "AAAA"):
            return f"{domain} accepts mail at its own address"
        raise BadRecord(f"{domain} has no mail server, so bounces cannot return") from None
    if hosts == ["."]:  # RFC 7505
        raise BadRecord(f"{domain} declares that it accepts no mail")
    return f"{domain} accepts mail at {hosts[0].rstrip('.')}"


def read_spf(client: DnsClient, domain: str) -> str:
    """Return the SPF record of the domain."""
    record = _find_spf_record(client, domain)
    terms = record.lower().split()[1:]
    if {"all", "+all"} & set(terms):
        raise BadRecord(f"{domain} allows everyone to send for it: {record}")
    if not any(term.endswith("all") or term.startswith("redirect=") for term in terms):
        raise BadRecord(f"{domain} has no rule for all other senders (all): {record}")
    lookups = _count_lookups(client, record, {domain})
    if lookups > MAX_LOOKUPS:
        raise BadRecord(
            f"{domain} needs {lookups} DNS lookups, but receivers stop at {MAX_LOOKUPS}: {record}"
        )
    return record


def _find_spf_record(client: DnsClient, domain: str) -> str:
    records = _find_texts(client, domain, "v=spf1")
    if not records:
        raise NoRecord(f"{domain} has no SPF record")
    if len(records) > 1:
        raise BadRecord(f"{domain} has {len(records)} SPF records, so receivers ignore all of them")
    return records[0]


def _count_lookups(client: DnsClient, record: str, seen: set[str]) -> int:
    """Return the number of DNS lookups a receiver needs; raises BadRecord for a broken include."""
    count = sum(bool(SPF_LOOKUP.match(term)) for term in record.split()[1:])
    for term in record.split()[1:]:
        reference = SPF_REFERENCE.fullmatch(term)
        name = (reference[1] or reference[2]).lower() if reference else ""
        if not name or "%" in name or name in seen or len(seen) > 2 * MAX_LOOKUPS:
            continue
        seen.add(name)
        count += _count_lookups(client, _find_spf_record(client, name), seen)
    return count


def read_dkim(client: DnsClient, name: str) -> str:
    """Describe the key published under a name such as `selector._domainkey.example.com`."""
    try:
        text = "".join(client.query(name, "TXT"))
    except RecordMissing:
        raise NoRecord(f"{name} has no key") from None
    tags = read_tags(text)
    try:
        key = base64.b64decode("".join(tags.get("p", "").split()), validate=True)
    except binascii.Error:
        raise BadRecord(f"{name} has a damaged key: {text[:80]}") from None
    kind = tags.get("k", "rsa")
    if not key:
        raise BadRecord(f"{name} has no key: it was revoked")
    if kind == "rsa" and len(key) < MIN_RSA_BYTES:
        raise BadRecord(f"{name} has a key of less than 1024 bits, which receivers ignore")
    testing = ", in test mode" if "y" in tags.get("t", "").split(":") else ""
    return f"{name} has a key ({kind}){testing}"


def read_dmarc(client: DnsClient, domain: str) -> str:
    """Describe the DMARC policy that applies to the domain, which may be that of a parent domain."""
    labels = domain.split(".")
    # A domain without its own record uses its parent's. Receivers query only the last labels of a long name.
    starts = [0, *range(max(1, len(labels) - MAX_DMARC_LABELS), len(labels) - 1)]
    for start in starts:
        parent = ".".join(labels[start:])
        records = _find_texts(client, f"_dmarc.{parent}", "v=dmarc1")
        if len(records) > 1:
            raise BadRecord(f"_dmarc.{parent} has {len(records)} records, so receivers ignore all of them")
        if records:
            tags = read_tags(records[0])
            policy = tags.get("p", "").lower()
            if policy not in DMARC_POLICIES:
                raise BadRecord(f"_dmarc.{parent} has no policy (p=none, quarantine or reject): {records[0]}")
            reports = "" if "rua" in tags else "; no one receives reports (rua is missing)"
            return f"_dmarc.{parent}: p={policy}{reports}"
    raise NoRecord(f"{domain} has no DMARC record")


def _find_texts(client: DnsClient, name: str, beginning: str) -> list[str]:
    try:
        texts = client.query(name, "TXT")
    except RecordMissing:
        return []
    return [text for text in texts if re.split(r"[\s;]", text.strip().lower())[0] == beginning]


def read_tags(text: str) -> dict[str, str]:
    """Return the tags of a DKIM or DMARC record, such as `p`."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
