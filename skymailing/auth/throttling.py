"""How often one visitor may try, and answers that take the same time whoever is asked about.

Limits count per account and network address together, and per address alone: a stranger who types
somebody's address again and again shuts out only themselves.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response, current_app, request, session
from flask_limiter.util import get_remote_address
from flask_login import current_user

from skymailing.auth.devices import is_known
from skymailing.auth.sessions import awaited_user, device_key
from skymailing.extensions import limiter


def account_and_address() -> str:
    """Return who is asked about and from where."""
    return f"{request.form.get('email', '').strip().lower()[:320]}|{get_remote_address()}"


def session_and_address() -> str:
    """Return whose letter is asked for and from where."""
    return f"{session.get('unconfirmed', '')}|{get_remote_address()}"


def awaited_account() -> str:
    """Return whose code is being tried."""
    awaited = awaited_user()
    return str(awaited[0].id) if awaited else ""


def awaited_and_address() -> str:
    """Return whose code is being tried and from where."""
    return f"{awaited_account()}|{get_remote_address()}"


def is_known_device() -> bool:
    """Whether the account whose code is being tried was signed in to in this browser before."""
    awaited, key = awaited_user(), device_key()
    return awaited is not None and key is not None and is_known(awaited[0].id, key)


def own_account() -> str:
    """Return who is signed in: nobody else can use up these tries."""
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
limit_resends = limiter.limit("5 per hour", key_func=session_and_address, methods=["POST"])
limit_password_checks = limiter.limit(
    "20 per hour", key_func=own_account, methods=["POST"], deduct_when=was_refused
)
limit_codes = limiter.limit(
    "10 per 15 minutes", key_func=awaited_and_address, methods=["POST"], deduct_when=was_refused
)
# There are only a million codes. Who got as far as here knows the password, so the account is bounded
# from all addresses together; but for its own devices, or they would be shut out with the thief.
limit_codes_of_strangers = limiter.limit(
    "30 per hour",
    key_func=awaited_account,
    methods=["POST"],
    deduct_when=was_refused,
    exempt_when=is_known_device,
)


@contextmanager
def even_time() -> Iterator[None]:
    """Take EVEN_ANSWER_TIME in any case, so that a clock does not tell what the page does not.

    Wrap the work up to and with its commit: nobody should wait for us inside a transaction.
    """
    started = time.monotonic()
    yield
    rest = current_app.config["EVEN_ANSWER_TIME"] - (time.monotonic() - started)
    time.sleep(max(rest, 0))
