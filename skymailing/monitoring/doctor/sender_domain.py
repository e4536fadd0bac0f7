"""Check the DNS records of the sender's domain: MX, SPF, DKIM and DMARC."""

from collections.abc import Callable
from email.utils import parseaddr

from flask import current_app

from skymailing.dns import records
from skymailing.dns.client import DnsClient, DnsUnavailable
from skymailing.dns.records import BadRecord
from skymailing.monitoring.checks import Check

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


def check_sender_domain() -> list[Check]:
    """Check all records that receivers look up."""
    domain = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1].rpartition("@")[2].lower()
    selector = current_app.config["MAIL_DKIM_SELECTOR"]
    client = DnsClient()
    name = f"{selector}._domainkey.{domain}"
    mx_advice = f"Create an MX record for {domain} that points to your mailbox: bounces return there."
    return [
        _check("sender-domain", mx_advice, lambda: records.find_mail_host(client, domain)),
        _check("spf", SPF_ADVICE.format(domain=domain), lambda: records.read_spf(client, domain)),
        _check("dkim", DKIM_ADVICE.format(name=name), lambda: records.read_dkim(client, name))
        if selector
        else Check("dkim", True, "could not be checked: MAIL_DKIM_SELECTOR is not set", is_known=False),
        _check("dmarc", DMARC_ADVICE.format(domain=domain), lambda: records.read_dmarc(client, domain)),
    ]


def _check(name: str, advice: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, True, find())
    except DnsUnavailable as error:
        return Check(name, True, f"could not be checked: {error}", is_known=False)
    except BadRecord as error:
        return Check(name, False, str(error), advice)
