"""Limit attempts, and respond in the same time for known and unknown addresses.

Attempts are counted per account and network together, per network, and per account across all networks.
The last limit is generous, and devices known to the account have a separate one: a stranger who keeps
trying someone's address locks out neither the owner's devices nor anyone else's.
"""

import functools
import hashlib
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec

from flask import Response, current_app, g, make_response, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user
from limits.storage import MemoryStorage
from redis import RedisError

from skymailing.auth import devices, services
from skymailing.auth.views.session import UNCONFIRMED, device_key, find_user_awaiting_code
from skymailing.email_addresses import InvalidEmail, address_key, mailbox_key, parse_address
from skymailing.extensions import db, limiter
from skymailing.models import User
from skymailing.settings.quotas import quota_settings
from skymailing.tokens import BadToken

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]

logger = logging.getLogger(__name__)


# --- Keys of the counters ---------------------------------------------------------------------


def network(prefix: int = 64) -> str:
    """Return the visitor's IPv4 address, or IPv6 network: each customer of a provider has a whole /64."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), prefix), strict=False))


def wide_network() -> str:
    """Return the visitor's IPv4 address or IPv6 /48, the largest network that providers assign."""
    return network(48)


def submitted_account() -> str:
    """Return the submitted email address as accounts store it, so that all spellings share a counter."""
    try:
        return address_key(parse_address(request.form.get("email", "").strip()))
    except InvalidEmail:
        return "invalid"


def unconfirmed_account() -> str:
    """Return the unconfirmed account in the session."""
    return str(session.get(UNCONFIRMED, "none"))


def tagged_mailbox() -> str:
    """Return the mailbox of the submitted email address; empty if the address has no tag.

    A stranger can thus use up the limit for tagged addresses, but cannot keep the owner from registering.
    """
    try:
        address = parse_address(request.form.get("email", ""))
    except InvalidEmail:
        return ""
    mailbox, key = mailbox_key(address), address_key(address)
    return mailbox if mailbox.partition("@")[0] != key.partition("@")[0] else ""


def registrations_per_mailbox() -> str:
    return f"{quota_settings().registrations_per_mailbox} per day"


def has_no_mailbox_limit() -> bool:
    return not quota_settings().registrations_per_mailbox or not tagged_mailbox()


def account_awaiting_code() -> str:
    """Return the ID of the account whose code is being entered."""
    awaiting = find_user_awaiting_code()
    key = str(awaiting[0].id) if awaiting else "none"
    db.session.rollback()  # Redis is queried next: hold no lock while waiting
    return key


def account_of_new_email() -> str:
    """Return the account that the confirmation link of a new address belongs to."""
    try:
        token = str((request.view_args or {}).get("token", ""))
        return str(services.read_new_email_token(token)[0].id)
    except BadToken:
        return "none"
    finally:
        db.session.rollback()  # Redis is queried next: hold no lock while waiting


def signed_in_account() -> str:
    """Return the ID of the signed-in account, so that no one else can use up its attempts."""
    return str(current_user.get_id()).partition(".")[0]


def device() -> str:
    """Return a hash of this browser's device key, so that counters do not contain the key itself."""
    return hashlib.sha256((device_key() or "").encode()).hexdigest()[:32]


def is_known_to_submitted_account() -> bool:
    """Return whether this device has been used to sign in to the submitted account before."""
    return _is_known_device(lambda: services.find_user(submitted_account()))


def is_known_to_account_awaiting_code() -> bool:
    """Return whether this device has been used before by the account whose code is being entered."""
    return _is_known_device(lambda: (find_user_awaiting_code() or (None,))[0])


def _is_known_device(find_account: Callable[[], User | None]) -> bool:
    """Look up the device once per request, then end the transaction: hold no lock while waiting for Redis."""
    if request.method != "POST":
        return False
    if "is_known_device" not in g:
        key = device_key()
        user = find_account() if key is not None else None
        g.is_known_device = user is not None and devices.is_known_device(user.id, str(key))
        db.session.rollback()
    return bool(g.is_known_device)


# --- Limits -----------------------------------------------------------------------------------


class Limit:
    """The number of attempts allowed for each combination of keys, optionally only on some devices."""

    def __init__(
        self,
        rate: str | Callable[[], str],
        *keys: Callable[[], str],
        except_if: Callable[[], bool] | None = None,
        only_if: Callable[[], bool] | None = None,
    ) -> None:
        self.rate = rate
        self.keys = keys
        self.except_if = except_if
        self.only_if = only_if

    def key(self) -> str:
        """Return the name of the counter for this request."""
        return "|".join(key() for key in self.keys)

    def is_exempt(self) -> bool:
        """Return whether this request is exempt from the limit."""
        if self.only_if is not None:
            return not self.only_if()
        return self.except_if is not None and self.except_if()


def throttle(
    name: str, *limits: Limit, counts: Callable[[Response], bool], methods: Sequence[str] = ("POST",)
) -> Callable[[View[P]], Callable[P, Response]]:
    """Limit the requests of a view; `counts` decides from the response whether an attempt counts.

    Each attempt is counted before the view runs, and removed afterwards if it does not count: if it were
    counted afterwards, parallel requests could exceed the limit. Views with the same name share counters.
    """

    def decorate(view: View[P]) -> Callable[P, Response]:
        @functools.wraps(view)
        def counting_view(*args: P.args, **kwargs: P.kwargs) -> Response:
            response = make_response(view(*args, **kwargs))
            if not counts(response):
                uncount_attempts()
            return response

        counted: Callable[P, Response] = counting_view
        for number, limit in enumerate(limits):
            counted = limiter.shared_limit(
                limit.rate,
                scope=f"{name}-{number}",
                key_func=limit.key,
                methods=list(methods),
                exempt_when=limit.is_exempt,
            )(counted)
        return counted

    return decorate


def uncount_attempts() -> None:
    """Remove the attempts that were counted for this request."""
    for counted in limiter.current_limits:
        storage: Any = limiter.limiter.storage
        key = counted.limit.key_for(*counted.request_args)
        try:
            if isinstance(storage, MemoryStorage):
                with storage.locks[key]:
                    del storage.events.get(key, [])[:1]
            else:
                storage.storage.lpop(storage.prefixed_key(key))
        except RedisError as error:
            logger.warning("Redis is down; an attempt remains counted: %s", error)


def was_rejected(response: Response) -> bool:
    return response.status_code != 302


def was_accepted(response: Response) -> bool:
    return response.status_code == 302


def always(_response: Response) -> bool:
    return True


NETWORK_LIMITS = (Limit("100 per 15 minutes", network), Limit("300 per 15 minutes", wide_network))

limit_logins = throttle(
    "sign-in",
    Limit("10 per 15 minutes", submitted_account, network, except_if=is_known_to_submitted_account),
    Limit("30 per 15 minutes", submitted_account, wide_network, except_if=is_known_to_submitted_account),
    Limit("100 per 15 minutes", network, except_if=is_known_to_submitted_account),
    Limit("300 per 15 minutes", wide_network, except_if=is_known_to_submitted_account),
    Limit("100 per hour", submitted_account, except_if=is_known_to_submitted_account),
    Limit("50 per hour", submitted_account, device, only_if=is_known_to_submitted_account),
    counts=was_rejected,
)
limit_confirmations = throttle("confirmation", *NETWORK_LIMITS, counts=was_rejected)
limit_passkeys = throttle("passkey", *NETWORK_LIMITS, counts=was_rejected)
# Each attempt may have to wait for the provider.
limit_provider = throttle("provider", *NETWORK_LIMITS, counts=was_rejected, methods=("GET", "HEAD"))
LETTER_LIMITS = (
    Limit("5 per hour", submitted_account, network),
    Limit("10 per hour", submitted_account, wide_network),
    Limit("100 per hour", network),
    Limit("300 per hour", wide_network),
)
limit_letters = throttle("letters", *LETTER_LIMITS, counts=was_accepted)
limit_registrations = throttle(
    "letters",
    *LETTER_LIMITS,
    Limit(registrations_per_mailbox, tagged_mailbox, except_if=has_no_mailbox_limit),
    counts=was_accepted,
)
limit_resends = throttle("resend", Limit("5 per hour", unconfirmed_account, network), counts=always)
limit_password_checks = throttle("password", Limit("20 per hour", signed_in_account), counts=was_rejected)
limit_key_changes = throttle("api-keys", Limit("30 per hour", signed_in_account), counts=always)
limit_new_email_checks = throttle(
    "new-email", Limit("20 per hour", account_of_new_email), counts=was_rejected
)
# There are only a million codes, and anyone who can enter one knows the password.
limit_codes = throttle(
    "code",
    Limit("10 per 15 minutes", account_awaiting_code, network, except_if=is_known_to_account_awaiting_code),
    Limit("30 per hour", account_awaiting_code, except_if=is_known_to_account_awaiting_code),
    Limit("30 per hour", account_awaiting_code, device, only_if=is_known_to_account_awaiting_code),
    counts=was_rejected,
)


@contextmanager
def constant_response_time() -> Iterator[None]:
    """Wait at the end of the block until MIN_RESPONSE_SECONDS has passed, so that timing reveals nothing.

    Commit inside the block, since a transaction must not stay open during the wait.
    """
    started = time.monotonic()
    yield
    remaining = current_app.config["MIN_RESPONSE_SECONDS"] - (time.monotonic() - started)
    time.sleep(max(remaining, 0))
