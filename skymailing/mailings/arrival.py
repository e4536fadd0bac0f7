"""Check, for the mailing form, what could keep letters out of the inbox (`checkup`)."""

from skymailing.checkup.audience_checks import Crowd
from skymailing.checkup.registry import (
    AUDIENCE_CHECKS,
    LINK_CHECKS,
    SENDER_CHECKS,
    find_failed,
    run_checks,
)
from skymailing.checkup.results import Checked
from skymailing.checkup.sender_checks import Source
from skymailing.checkup.texts import Checkup, describe_all
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.routing.freemail import find_protected_domain
from skymailing.delivery.senders import From, describe_from, service_address
from skymailing.domains.queries import find_covering, is_signed, list_domains
from skymailing.extensions import db
from skymailing.link_checks.services import find_check
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.sender_choices import find_sender
from skymailing.mailings.variants import list_contents
from skymailing.messages.letter_check import add_source, check_message
from skymailing.models import Client, Message, Sender, User


def check_arrival(
    form: MailingForm, message: Message, example: Client | None, crowd: Crowd | None
) -> Checkup:
    """Return what could keep letters out of the inbox, and what is fine."""
    checked = check_contents(form, message, example)
    checked += run_checks(LINK_CHECKS, find_check(message))
    checked += run_checks(SENDER_CHECKS, find_source(form.owner, find_sender(form.owner, form.sender.data)))
    if crowd:
        checked += run_checks(AUDIENCE_CHECKS, crowd)
    return describe_all(checked)


def check_contents(form: MailingForm, message: Message, example: Client | None) -> list[Checked]:
    """Return the results for the message, and what else can be improved in the variants of a test."""
    owner, source, counts_clicks = form.owner, find_from(form), bool(form.track_clicks.data)
    content = add_source(read_current(db.session, message), message)
    checked = check_message(owner, content, example, source, counts_clicks=counts_clicks)
    known = [(one.code, one.result) for one in checked]
    for variant, other in list_contents(owner, message, form.values.variants):
        results = check_message(owner, other, example, source, counts_clicks=counts_clicks)
        new = (one for one in find_failed(results) if (one.code, one.result) not in known)
        checked += [Checked(one.code, one.result, variant) for one in new]
    return checked


def find_from(form: MailingForm) -> From:
    """Return who the letters will be from."""
    sender = find_sender(form.owner, form.sender.data)
    return describe_from(form.owner, sender, form.sender_name.data or "")


def find_source(owner: User, sender: Sender | None) -> Source:
    """Return the address that letters come from, and what is known about its domain."""
    address = sender.address_key if sender else service_address().lower()
    server = sender.server if sender else None
    domains = list_domains(owner.id) if sender else []
    return Source(
        address.rpartition("@")[2],
        is_own=sender is not None,
        has_own_server=server is not None,
        free_mail=find_protected_domain(address, server),
        domain=find_covering(domains, address),
        has_key=is_signed(domains, address),
    )
