"""Find the letter that a report is about.

Anyone can write to the address for returned mail. A report is believed only if it quotes a Message-ID or an
unsubscribe link that we signed, if it was sent to a return path that we signed, or if a provider sent it; if
it matches only by address, a person decides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select

from skymailing.db.engine import LARGEST_ID, is_in
from skymailing.delivery.rendering.message_ids import RunIdentity, message_id_key, read_message_id
from skymailing.email_addresses import address_key
from skymailing.extensions import db
from skymailing.models import Client, Delivery, DeliveryState, Mailing, Run, User
from skymailing.returns.reports import Report
from skymailing.tokens import BadToken, read_unsubscribe_token
from skymailing.web.urls import UNSUBSCRIBE_PREFIX

# A report that does not name a letter is matched only to letters sent within this time.
MATCHING_PERIOD = timedelta(days=7)
LINK = re.compile(rf"{UNSUBSCRIBE_PREFIX}/([\w.-]{{1,1000}})>")


@dataclass(frozen=True, slots=True)
class Target:
    """The owner and the recipient's address of a returned letter, and its delivery if known."""

    owner_id: int
    email_key: str
    is_signed: bool
    delivery_id: int | None = None
    run_id: int | None = None
    mailing_id: int | None = None
    # The topic of the unsubscribe link; None if it has none, or if the letter was found in another way.
    topic_id: int | None = None


def find_targets(reports: Sequence[tuple[Report, bool]], now: datetime) -> list[Target | None]:
    """Return the target of each report, None if unknown; the flag is whether the report is trusted.

    A trusted report comes from an authenticated provider and needs no proof.
    """
    signed = _find_by_signatures([report for report, _ in reports])
    return [
        _find_target(report, target, now, is_trusted)
        for (report, is_trusted), target in zip(reports, signed, strict=True)
    ]


def _find_target(report: Report, signed: Target | None, now: datetime, is_trusted: bool) -> Target | None:
    named = address_key(report.recipient)
    target = signed or _find_by_link(report, now)
    if target is None:
        return _find_by_address(named, now, is_trusted) if named else None
    # Providers remove the recipient from complaints. If another address is named, we never wrote to it.
    is_same = named in ("", target.email_key)
    return target if is_same else replace(target, is_signed=False)


def _find_by_signatures(reports: Sequence[Report]) -> list[Target | None]:
    """Return the targets named by the quoted Message-IDs, or else by the return paths of the reports."""
    key = message_id_key()
    names = [
        read_message_id(report.quoted.message_id, key) or read_message_id(report.quoted.return_token, key)
        for report in reports
    ]
    ids = {name.delivery_id for name in names if name and name.delivery_id <= LARGEST_ID}
    if not ids:
        return [None] * len(reports)
    rows = db.session.execute(_select_deliveries().where(is_in(Delivery.id, sorted(ids))))
    by_id = {row.id: row for row in rows}
    targets: list[Target | None] = []
    for name in names:
        row = by_id.get(name.delivery_id) if name else None
        is_same_run = row is not None and name is not None and RunIdentity(row.uuid).mark == name.run_mark
        targets.append(_make_target(row, is_signed=True) if is_same_run else None)
    return targets


def _find_by_link(report: Report, now: datetime) -> Target | None:
    found = LINK.search(report.quoted.list_unsubscribe)
    if found is None:
        return None
    try:
        owner_id, email_key, topic_id = read_unsubscribe_token(found[1])
    except BadToken:
        return None
    if not 0 < owner_id <= LARGEST_ID or db.session.get(User, owner_id) is None:
        return None
    # The link does not identify its letter, so the last letter is assumed.
    row = db.session.execute(_select_last_letter(email_key, now).where(Mailing.owner_id == owner_id)).first()
    target = _make_target(row, is_signed=True) if row else Target(owner_id, email_key, is_signed=True)
    return replace(target, topic_id=topic_id)


def _find_by_address(email_key: str, now: datetime, is_trusted: bool) -> Target | None:
    row = db.session.execute(_select_last_letter(email_key, now)).first()
    return _make_target(row, is_signed=is_trusted) if row else None


def _select_deliveries() -> Select[Any]:
    return (
        select(
            Delivery.id,
            Delivery.email_key,
            Run.id.label("run_id"),
            Run.mailing_id,
            Mailing.owner_id,
            Run.uuid,
        )
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
    )


def _select_last_letter(email_key: str, now: datetime) -> Select[Any]:
    """Return a query for the last letter that was sent to the address.

    It starts from the users: an address is indexed within its owner's clients only.
    """
    return (
        _select_deliveries()
        .join(User, User.id == Mailing.owner_id)
        .join(Client, (Client.owner_id == User.id) & (Client.id == Delivery.client_id))
        .where(
            Client.email_key == email_key,
            Delivery.email_key == email_key,
            Delivery.state == DeliveryState.SENT,
            Delivery.finished_at >= now - MATCHING_PERIOD,
        )
        .order_by(Delivery.id.desc())
        .limit(1)
    )


def _make_target(row: Any, is_signed: bool) -> Target:
    return Target(row.owner_id, row.email_key, is_signed, row.id, row.run_id, row.mailing_id)
