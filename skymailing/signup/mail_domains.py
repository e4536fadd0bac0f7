"""Ask DNS whether a domain accepts mail, so that people notice typos immediately.

This is the only network query that a web process makes for a visitor's input, and it goes to the resolver.
The process must not wait long for DNS. So answers are cached, a query times out after a second, only a few
run at a time, and queries pause after the resolver has failed. Without an answer, the address is accepted.
"""

import threading

from flask import current_app

from skymailing.dns.client import DnsClient, DnsUnavailable
from skymailing.email_addresses import ALLOWED_SPECIAL_DOMAINS
from skymailing.extensions import cache

TIMEOUT = 1.0  # seconds
AT_A_TIME = 4  # queries per process; each occupies a thread
CACHE_SECONDS = {"yes": 24 * 60 * 60, "no": 10 * 60, "unknown": 60}  # by answer
PAUSE_KEY, PAUSE = "mail-domains-paused", 10  # seconds without queries after the resolver has failed
RESERVED = {*ALLOWED_SPECIAL_DOMAINS, "example"}
RESERVED_DOMAINS = {"example.com", "example.net", "example.org"}
NULL_MX = "0 ."  # RFC 7505: the domain accepts no mail

slots = threading.BoundedSemaphore(AT_A_TIME)


def may_accept_mail(email: str) -> bool:
    """Return False if the domain of an address certainly accepts no mail. Call it outside of transactions."""
    domain = email.rpartition("@")[2].lower()
    if current_app.config["DNS_SERVER"] is None and is_unknown_to_dns(domain):
        return True
    key = f"mail-domain:{domain}"
    answer, is_paused = cache.get_many(key, PAUSE_KEY)
    if answer is None and not is_paused and slots.acquire(blocking=False):
        try:
            answer = _ask(domain)
        finally:
            slots.release()
        cache.set(key, answer, timeout=CACHE_SECONDS[answer])
    return bool(answer != "no")


def is_unknown_to_dns(domain: str) -> bool:
    """Return whether DNS cannot answer whether a domain accepts mail.

    Public resolvers do not know private names. Names reserved for examples (RFC 2606) are used in tests and
    demonstrations. With the mail catcher, no letters are sent anyway.
    """
    names = domain.split(".")
    is_reserved = names[-1] in RESERVED or ".".join(names[-2:]) in RESERVED_DOMAINS
    return is_reserved or bool(current_app.config["MAIL_CATCHER"])


def _ask(domain: str) -> str:
    client = DnsClient(TIMEOUT)
    try:
        if client.exists(domain, "MX"):
            return "no" if client.query(domain, "MX") == [NULL_MX] else "yes"
        # RFC 5321, section 5.1: without MX records, mail goes to the host itself.
        return "yes" if client.exists(domain, "A") or client.exists(domain, "AAAA") else "no"
    except DnsUnavailable:
        cache.set(PAUSE_KEY, True, timeout=PAUSE)
        return "unknown"
