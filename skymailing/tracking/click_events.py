"""Report new counts of clicks, many in one event, to owners who want them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from skymailing.db.engine import is_in
from skymailing.events import payloads
from skymailing.events.recording import find_interested_owners, record
from skymailing.models import Delivery, EventType, Mailing, RunLink
from skymailing.tracking.click_counts import LetterClicks, to_time

CLICKS_PER_EVENT = 500


def report_clicks(connection: Connection, letters: Sequence[LetterClicks], now: datetime) -> None:
    """Report the counts that a fold has changed; if no owner wants them, this is one statement."""
    owners = find_interested_owners(connection, EventType.CLICKS_COUNTED)
    if not owners:
        return
    mailing_ids = sorted({letter.mailing_id for letter in letters})
    found = select(Mailing.id, Mailing.owner_id).where(
        is_in(Mailing.id, mailing_ids), Mailing.owner_id.in_(owners)
    )
    owner_of = dict(connection.execute(found).tuples().all())
    wanted = [letter for letter in letters if letter.mailing_id in owner_of]
    emails, urls = _read_emails(connection, wanted), _read_urls(connection, wanted)
    clicks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for letter in wanted:
        for entry in _list_changes(letter):
            link = {"email": emails.get(letter.delivery_id), "url": urls.get((letter.run_id, entry["link"]))}
            clicks[owner_of[letter.mailing_id]].append(entry | link)
    events = [
        payloads.clicks_counted(owner_id, entries[start : start + CLICKS_PER_EVENT], now)
        for owner_id, entries in sorted(clicks.items())
        for start in range(0, len(entries), CLICKS_PER_EVENT)
    ]
    record(connection, *events)


def _list_changes(letter: LetterClicks) -> list[dict[str, Any]]:
    ids = {"delivery_id": letter.delivery_id, "mailing_id": letter.mailing_id, "run_id": letter.run_id}
    return [
        ids
        | {
            "link": number,
            "clicks": link.clicks,
            "machine_clicks": link.machine_clicks,
            "last_at": payloads.write_time(to_time(link.last_at)),
        }
        for number, link in letter.links.items()
        if letter.stored.get(number) != (link.clicks, link.machine_clicks)
    ]


def _read_emails(connection: Connection, letters: Sequence[LetterClicks]) -> dict[int, str]:
    ids = [letter.delivery_id for letter in letters]
    rows = select(Delivery.id, Delivery.email).where(is_in(Delivery.id, ids))
    return dict(connection.execute(rows).tuples().all())


def _read_urls(connection: Connection, letters: Sequence[LetterClicks]) -> dict[tuple[int, int], str]:
    run_ids = sorted({letter.run_id for letter in letters})
    rows = select(RunLink.run_id, RunLink.number, RunLink.url).where(is_in(RunLink.run_id, run_ids))
    return {(run_id, number): url for run_id, number, url in connection.execute(rows).tuples()}
