"""What DNS says of the domain that letters come from: can it be answered, and may we send for it?"""

import base64
import binascii
import re
from collections.abc import Callable
from email.utils import parseaddr

from flask import current_app

from skymailing.monitoring.checks import Check
from skymailing.monitoring.doctor.dns_client import DnsClient, NotAsked, NotThere

MOST_LOOKUPS = 10  # RFC 7208, section 4.6.4
SPF_LOOKUP = re.compile(r"[+?~-]?(include|a|mx|ptr|exists)(?:[:/]|$)|redirect=", re.IGNORECASE)
SPF_REFERENCE = re.compile(r"[+?~-]?include:(\S+)|redirect=(\S+)", re.IGNORECASE)
DMARC_POLICIES = ("none", "quarantine", "reject")
LEAST_RSA_BYTES = 150  # of a key in its wrapping: one of 1024 bits takes 162, one of 512 bits 94
SPF_ADVICE = (
    'Make one TXT record of {domain}: "v=spf1 include:NAME -all", with the NAME that the mail server\'s '
    "operator tells."
)
DKIM_ADVICE = "Publish what the mail server's operator tells for {name}, or set MAIL_DKIM_SELECTOR to theirs."
DMARC_ADVICE = 'Make one TXT record of _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:postmaster@{domain}".'


class BadRecord(Exception):
    """A record is there and does not do what it is for; says why."""


def check_sender_domain() -> list[Check]:
    """Ask for everything that receivers ask for."""
    domain = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2].lower()
    selector = current_app.config["MAIL_DKIM_SELECTOR"]
    client = DnsClient()
    name = f"{selector}._domainkey.{domain}"
    mx_advice = f"Let an MX record of {domain} lead to where you receive mail: what bounces comes back there."
    return [
        _check("sender-domain", mx_advice, lambda: _find_mail_host(client, domain)),
        _check("spf", SPF_ADVICE.format(domain=domain), lambda: _read_spf(client, domain)),
        _check("dkim", DKIM_ADVICE.format(name=name), lambda: _read_dkim(client, name))
        if selector
        else Check("dkim", True, "could not be asked: MAIL_DKIM_SELECTOR is not set", is_known=False),
        _check("dmarc", DMARC_ADVICE.format(domain=domain), lambda: _read_dmarc(client, domain)),
    ]


def _check(name: str, advice: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, True, find())
    except NotAsked as error:
        return Check(name, True, f"could not be asked: {error}", is_known=False)
    except BadRecord as error:
        return Check(name, False, str(error), advice)


def _find_mail_host(client: DnsClient, domain: str) -> str:
    try:
        hosts = [record.partition(" ")[2] for record in client.ask(domain, "MX")]
    except NotThere:
        if client.exists(domain, "A") or client.exists(domain, "AAAA"):
            return f"{domain} takes mail at its own address"
        raise BadRecord(f"{domain} has no mail server, so nothing that bounces comes back") from None
    if hosts == ["."]:  # RFC 7505
        raise BadRecord(f"{domain} says that it takes no mail at all")
    return f"{domain} takes mail at {hosts[0].rstrip('.')}"


def _read_spf(client: DnsClient, domain: str) -> str:
    record = _spf_record(client, domain)
    terms = record.lower().split()[1:]
    if {"all", "+all"} & set(terms):
        raise BadRecord(f"{domain} lets the whole world send for it: {record}")
    if not any(term.endswith("all") or term.startswith("redirect=") for term in terms):
        raise BadRecord(f"{domain} does not say what holds for all others: {record}")
    lookups = _count_lookups(client, record, {domain})
    if lookups > MOST_LOOKUPS:
        raise BadRecord(
            f"{domain} makes receivers ask {lookups} times, and they stop at {MOST_LOOKUPS}: {record}"
        )
    return record


def _spf_record(client: DnsClient, domain: str) -> str:
    records = _texts(client, domain, "v=spf1")
    if not records:
        raise BadRecord(f"{domain} has no SPF record")
    if len(records) > 1:
        raise BadRecord(f"{domain} has {len(records)} SPF records, and receivers then heed none")
    return records[0]


def _count_lookups(client: DnsClient, record: str, seen: set[str]) -> int:
    """Return how many questions a receiver has to ask; raises BadRecord for one that leads nowhere."""
    count = sum(bool(SPF_LOOKUP.match(term)) for term in record.split()[1:])
    for term in record.split()[1:]:
        reference = SPF_REFERENCE.fullmatch(term)
        name = (reference[1] or reference[2]).lower() if reference else ""
        if not name or "%" in name or name in seen or len(seen) > 2 * MOST_LOOKUPS:
            continue
        seen.add(name)
        count += _count_lookups(client, _spf_record(client, name), seen)
    return count


def _read_dkim(client: DnsClient, name: str) -> str:
    try:
        text = "".join(client.ask(name, "TXT"))
    except NotThere:
        raise BadRecord(f"{name} has no key") from None
    tags = _tags(text)
    try:
        key = base64.b64decode("".join(tags.get("p", "").split()), validate=True)
    except binascii.Error:
        raise BadRecord(f"{name} has a key that is damaged: {text[:80]}") from None
    kind = tags.get("k", "rsa")
    if not key:
        raise BadRecord(f"{name} has no key any more: it was withdrawn")
    if kind == "rsa" and len(key) < LEAST_RSA_BYTES:
        raise BadRecord(f"{name} has a key of less than 1024 bits, which receivers do not heed")
    testing = ", and says that it is a test" if "y" in tags.get("t", "").split(":") else ""
    return f"{name} has a key ({kind}){testing}"


def _read_dmarc(client: DnsClient, domain: str) -> str:
    labels = domain.split(".")
    # A domain without a record of its own has that of the one it belongs to.
    for start in range(max(1, len(labels) - 1)):
        parent = ".".join(labels[start:])
        records = _texts(client, f"_dmarc.{parent}", "v=dmarc1")
        if len(records) > 1:
            raise BadRecord(f"_dmarc.{parent} has {len(records)} records, and receivers then heed none")
        if records:
            tags = _tags(records[0])
            policy = tags.get("p", "").lower()
            if policy not in DMARC_POLICIES:
                raise BadRecord(f"_dmarc.{parent} has no policy (p=none, quarantine or reject): {records[0]}")
            reports = "" if "rua" in tags else "; nobody gets reports (rua)"
            return f"_dmarc.{parent}: p={policy}{reports}"
    raise BadRecord(f"{domain} has no DMARC record")


def _texts(client: DnsClient, name: str, beginning: str) -> list[str]:
    try:
        texts = client.ask(name, "TXT")
    except NotThere:
        return []
    return [text for text in texts if re.split(r"[\s;]", text.strip().lower())[0] == beginning]


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
