"""Store a person's request to subscribe, and add the letter that asks for confirmation.

Nothing here depends on whether the address belongs to a client of the owner, so neither the response nor its
timing reveals this.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import bindparam

from skymailing.clients.consents import store_text
from skymailing.db.engine import insert_into
from skymailing.db.upserts import Insert, Upsert
from skymailing.email_addresses import address_key, person_key
from skymailing.extensions import db
from skymailing.models import FormDay, Signup, SignupForm, SignupMailbox
from skymailing.models.form import AGENT_MAX_LENGTH, IS_OPEN
from skymailing.outbox.signup_letters import SIGNUP_LIFETIME, add_signup_letter
from skymailing.signup.protection import Visitor
from skymailing.signup.texts import read_texts

BETWEEN_LETTERS = timedelta(minutes=10)  # at least, to one mailbox
LETTERS_PERIOD = timedelta(days=1)  # in which a mailbox gets at most three letters
# Columns of an open request that are replaced when the form is submitted again.
REPLACED = ("email", "values", "requested_at", "ip", "agent", "text_id", "tracking_text_id", "expires_at")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request: the address, the values by field, and whether opens may be counted."""

    email: str
    values: Mapping[str, str]
    allows_tracking: bool = False


def request_signup(form: SignupForm, request: Request, visitor: Visitor, now: datetime) -> bool:
    """Store the request, or its newest values; return whether a confirmation letter was added.

    Call it with the form's language active: the text to which the visitor agreed may be the default text.

    No letter is added if the mailbox has had one in the last ten minutes, or three in the last day.
    """
    tracking_text = read_texts(form).tracking if request.allows_tracking else ""
    values = {
        "owner_id": form.owner_id,
        "form_id": form.id,
        "email": request.email,
        "email_key": address_key(request.email),
        "values": dict(request.values),
        "requested_at": now,
        "ip": visitor.ip[:45],
        "agent": visitor.agent[:AGENT_MAX_LENGTH],
        "text_id": store_text(form.owner_id, form.consent_text, now),
        "tracking_text_id": store_text(form.owner_id, tracking_text, now),
        "expires_at": now + SIGNUP_LIFETIME,
        "requests": 1,
        "is_waiting": False,
    }
    signup_id, requests = UPSERT_REQUEST.execute(db.session.connection(), [values]).tuples().one()
    is_sent = _claim_letter(request.email, now)
    if is_sent:
        add_signup_letter(form, signup_id, request.email)
    if requests == 1:
        count_day(form.id, now, requested=1)  # last, since it locks a row that all visitors share
    return is_sent


def _make_request_upsert() -> Insert:
    statement = insert_into(Signup)
    changed = {name: statement.excluded[name] for name in REPLACED}
    return statement.on_conflict_do_update(
        index_elements=["form_id", "email_key"],
        index_where=IS_OPEN,
        set_=changed | {"requests": Signup.requests + 1},
    )


UPSERT_REQUEST = Upsert(_make_request_upsert, (Signup.id, Signup.requests))


def _claim_letter(email: str, now: datetime) -> bool:
    """Return whether a mailbox may get a letter now; if so, record the letter.

    This is one statement, so that concurrent requests cannot exceed the limits. Addresses that differ only in
    a tag, as in name+tag@example.com, or in the domain of Yandex belong to the same mailbox.
    """
    mailbox = hashlib.sha256(person_key(email).encode()).hexdigest()
    row = {"mailbox": mailbox, "latest_at": now, "second_at": LONG_AGO, "third_at": LONG_AGO}
    claimed = CLAIM_LETTER.execute(
        db.session.connection(),
        [row],
        latest_before=now - BETWEEN_LETTERS,
        third_before=now - LETTERS_PERIOD,
    )
    return claimed.first() is not None


def _make_letter_claim() -> Insert:
    statement = insert_into(SignupMailbox)
    is_allowed = (SignupMailbox.latest_at <= bindparam("latest_before")) & (
        SignupMailbox.third_at <= bindparam("third_before")
    )
    moved = {"third_at": SignupMailbox.second_at, "second_at": SignupMailbox.latest_at}
    return statement.on_conflict_do_update(
        index_elements=["mailbox"],
        set_=moved | {"latest_at": statement.excluded.latest_at},
        where=is_allowed,
    )


CLAIM_LETTER = Upsert(_make_letter_claim, SignupMailbox.mailbox)


def count_day(form_id: int, now: datetime, *, requested: int = 0, confirmed: int = 0) -> None:
    """Add requests and confirmations to the form's counts for the day of `now`."""
    row = {"form_id": form_id, "day": find_day(now), "requested": requested, "confirmed": confirmed}
    COUNT_DAY.execute(db.session.connection(), [row])


def _make_day_upsert() -> Insert:
    statement = insert_into(FormDay)
    added = {name: getattr(FormDay, name) + statement.excluded[name] for name in ("requested", "confirmed")}
    return statement.on_conflict_do_update(index_elements=["form_id", "day"], set_=added)


COUNT_DAY = Upsert(_make_day_upsert)


def find_day(now: datetime) -> date:
    """Return the UTC day by which requests are counted."""
    return now.astimezone(UTC).date()
