"""Check the DNS records of the sender's domain: MX, SPF, DKIM and DMARC."""

import base64
import binascii
import re
from collections.abc import Callable
from email.utils import parseaddr

from flask import current_app

from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.dns_client import DnsClient, DnsUnavailable, RecordMissing

MAX_LOOKUPS = 10  # RFC 7208, section 4.6.4
SPF_LOOKUP = re.compile(r"[+?~-]?(include|a|mx|ptr|exists)(?:[:/]|$)|redirect=", re.IGNORECASE)
SPF_REFERENCE = re.compile(r"[+?~-]?include:(\S+)|redirect=(\S+)", re.IGNORECASE)
DMARC_POLICIES = ("none", "quarantine", "reject")
MIN_RSA_BYTES = 150  # of an encoded key: 1024 bits need 162 bytes, 512 bits 94
SPF_ADVICE = (
    'Create one TXT record for {domain}: "v=spf1 include:NAME -all". The operator of the mail server '
    "gives you NAME."
)
DKIM_ADVICE = (
    "Publish the record that the mail server's operator provides for {name}, or correct MAIL_DKIM_SELECTOR."
)
DMARC_ADVICE = (
    'Create one TXT record for _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:postmaster@{domain}".'
)


class BadRecord(Exception):
    """A record exists but does not work; the message states the reason."""


def check_sender_domain() -> list[Check]:
    """Check all records that receivers look up."""
    domain = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2].lower()
    selector = current_app.config["MAIL_DKIM_SELECTOR"]
    client = DnsClient()
    name = f"{selector}._domainkey.{domain}"
    mx_advice = f"Create an MX record for {domain} that points to your mailbox: bounces return there."
    return [
        _check("sender-domain", mx_advice, lambda: _find_mail_host(client, domain)),
        _check("spf", SPF_ADVICE.format(domain=domain), lambda: _read_spf(client, domain)),
        _check("dkim", DKIM_ADVICE.format(name=name), lambda: _read_dkim(client, name))
        if selector
        else Check("dkim", True, "could not be checked: MAIL_DKIM_SELECTOR is not set", is_known=False),
        _check("dmarc", DMARC_ADVICE.format(domain=domain), lambda: _read_dmarc(client, domain)),
    ]


def _check(name: str, advice: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, True, find())
    except DnsUnavailable as error:
        return Check(name, True, f"could not be checked: {error}", is_known=False)
    except BadRecord as error:
        return Check(name, False, str(error), advice)


def _find_mail_host(client: DnsClient, domain: str) -> str:
    try:
        hosts = [record.partition(" ")[2] for record in client.query(domain, "MX")]
    except RecordMissing:
        if client.exists(domain, "A") or client.exists(domain, "AAAA"):
            return f"{domain} accepts mail at its own address"
        raise BadRecord(f"{domain} has no mail server, so bounces cannot return") from None
    if hosts == ["."]:  # RFC 7505
        raise BadRecord(f"{domain} declares that it accepts no mail")
    return f"{domain} accepts mail at {hosts[0].rstrip('.')}"


def _read_spf(client: DnsClient, domain: str) -> str:
    record = _spf_record(client, domain)
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


def _spf_record(client: DnsClient, domain: str) -> str:
    records = _texts(client, domain, "v=spf1")
    if not records:
        raise BadRecord(f"{domain} has no SPF record")
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
        count += _count_lookups(client, _spf_record(client, name), seen)
    return count


def _read_dkim(client: DnsClient, name: str) -> str:
    try:
        text = "".join(client.query(name, "TXT"))
    except RecordMissing:
        raise BadRecord(f"{name} has no key") from None
    tags = _tags(text)
    try:
        key = base64.b64decode("".join(tags.get("p", "").split()), validate=True)
    except binascii.Error:
        raise BadRecord(f"{name} has a damaged key: {text[:80]}") from None
    kind = tags.get("k", "rsa")
    if not key:
        raise BadRecord(f"{name} has no key: it was withdrawn")
    if kind == "rsa" and len(key) < MIN_RSA_BYTES:
        raise BadRecord(f"{name} has a key of less than 1024 bits, which receivers ignore")
    testing = ", in test mode" if "y" in tags.get("t", "").split(":") else ""
    return f"{name} has a key ({kind}){testing}"


def _read_dmarc(client: DnsClient, domain: str) -> str:
    labels = domain.split(".")
    # A domain without its own record uses that of its parent.
    for start in range(max(1, len(labels) - 1)):
        parent = ".".join(labels[start:])
        records = _texts(client, f"_dmarc.{parent}", "v=dmarc1")
        if len(records) > 1:
            raise BadRecord(f"_dmarc.{parent} has {len(records)} records, so receivers ignore all of them")
        if records:
            tags = _tags(records[0])
            policy = tags.get("p", "").lower()
            if policy not in DMARC_POLICIES:
                raise BadRecord(f"_dmarc.{parent} has no policy (p=none, quarantine or reject): {records[0]}")
            reports = "" if "rua" in tags else "; no one receives reports (rua is missing)"
            return f"_dmarc.{parent}: p={policy}{reports}"
    raise BadRecord(f"{domain} has no DMARC record")


def _texts(client: DnsClient, name: str, beginning: str) -> list[str]:
    try:
        texts = client.query(name, "TXT")
    except RecordMissing:
        return []
    return [text for text in texts if re.split(r"[\s;]", text.strip().lower())[0] == beginning]


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
