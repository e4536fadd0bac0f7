"""Limit attempts, and respond in the same time for known and unknown addresses.

Attempts are counted per account and network address together, and per network address alone. A stranger
who keeps trying someone's address therefore locks out only themselves.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response, current_app, request, session
from flask_limiter.util import get_remote_address
from flask_login import current_user

from skymailing.auth import devices
from skymailing.auth.views.session import UNCONFIRMED, device_key, user_awaiting_code
from skymailing.email_addresses import InvalidEmail, address_key, mailbox_key, parse_address
from skymailing.extensions import limiter
from skymailing.settings.quotas import quota_settings


def account_and_address() -> str:
    """Return the submitted e-mail address and the visitor's network address."""
    return f"{request.form.get('email', '').strip().lower()[:320]}|{get_remote_address()}"


def tagged_mailbox() -> str:
    """Return the mailbox of the submitted e-mail address; empty if the address is the mailbox's own.

    A stranger can therefore use up the tags of a mailbox, but not keep its owner from registering.
    """
    try:
        address = parse_address(request.form.get("email", ""))
    except InvalidEmail:
        return ""
    mailbox, own = mailbox_key(address), address_key(address)
    return mailbox if mailbox.partition("@")[0] != own.partition("@")[0] else ""


def registrations_per_mailbox() -> str:
    return f"{quota_settings().registrations_per_mailbox} per day"


def has_no_mailbox_limit() -> bool:
    return not quota_settings().registrations_per_mailbox or not tagged_mailbox()


def unconfirmed_account_and_address() -> str:
    """Return the unconfirmed account in the session and the visitor's network address."""
    return f"{session.get(UNCONFIRMED, '')}|{get_remote_address()}"


def account_awaiting_code() -> str:
    """Return the ID of the account whose code is being entered."""
    awaiting = user_awaiting_code()
    return str(awaiting[0].id) if awaiting else ""


def account_awaiting_code_and_address() -> str:
    """Return the ID of the account whose code is being entered and the visitor's network address."""
    return f"{account_awaiting_code()}|{get_remote_address()}"


def is_known_device() -> bool:
    """Whether the account whose code is being entered has been signed in on this device before."""
    awaiting, key = user_awaiting_code(), device_key()
    return awaiting is not None and key is not None and devices.is_known_device(awaiting[0].id, key)


def signed_in_account() -> str:
    """Return the ID of the signed-in account, so that no one else can use up its attempts."""
    return str(current_user.get_id()).partition(".")[0]


def was_refused(response: Response) -> bool:
    return response.status_code != 302


def was_accepted(response: Response) -> bool:
    return response.status_code == 302


limit_logins = limiter.limit(
    "10 per 15 minutes", key_func=account_and_address, methods=["POST"], deduct_when=was_refused
)
limit_logins_by_address = limiter.limit("100 per 15 minutes", methods=["POST"], deduct_when=was_refused)
limit_letters = limiter.limit(
    "5 per hour", key_func=account_and_address, methods=["POST"], deduct_when=was_accepted
)
limit_letters_by_address = limiter.limit("100 per hour", methods=["POST"], deduct_when=was_accepted)
limit_registrations_by_mailbox = limiter.limit(
    registrations_per_mailbox,
    key_func=tagged_mailbox,
    methods=["POST"],
    deduct_when=was_accepted,
    exempt_when=has_no_mailbox_limit,
)
limit_resends = limiter.limit("5 per hour", key_func=unconfirmed_account_and_address, methods=["POST"])
limit_password_checks = limiter.limit(
    "20 per hour", key_func=signed_in_account, methods=["POST"], deduct_when=was_refused
)
limit_codes = limiter.limit(
    "10 per 15 minutes", key_func=account_awaiting_code_and_address, methods=["POST"], deduct_when=was_refused
)
# There are only a million codes, and anyone who gets here knows the password. Attempts on an account are
# therefore limited across all network addresses, except on its known devices: a thief cannot lock those out.
limit_codes_on_unknown_devices = limiter.limit(
    "30 per hour",
    key_func=account_awaiting_code,
    methods=["POST"],
    deduct_when=was_refused,
    exempt_when=is_known_device,
)


@contextmanager
def constant_response_time() -> Iterator[None]:
    """Wait at the end of the block until EVEN_ANSWER_TIME has passed, so that timing reveals nothing.

    Commit inside the block, since a transaction must not stay open during the wait.
    """
    started = time.monotonic()
    yield
    remaining = current_app.config["EVEN_ANSWER_TIME"] - (time.monotonic() - started)
    time.sleep(max(remaining, 0))
