"""Read the signatures and the envelope of test letters that we sent to ourselves."""

import re
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import select

from skymailing.db.engine import LARGEST_ID
from skymailing.dns.records import read_tags
from skymailing.extensions import db
from skymailing.models import ReturnedState, Route, SendingDomain
from skymailing.models.probe import ProbeArrival, Signature
from skymailing.outbox.probes import SUBJECT, Probed, read_probe_token
from skymailing.returns.letter import OpenedLetter, read_subject
from skymailing.returns.parts import get_header
from skymailing.returns.reports import Kind, Report
from skymailing.tokens import BadToken

TOKEN = re.compile(rf"\b{SUBJECT}\s+([\w.-]{{40,400}})(?![\w.-])")
# Not with the standard library's parser, which recurses.
AUTHOR = re.compile(r"@([^\s<>@\"',;()]{1,255})>?\s*$")
MAX_SUBJECT = 1200
MAX_SIGNATURES = 10
DKIM_FAILED = re.compile(r"\bdkim\s*=\s*(fail|permerror)\b", re.IGNORECASE)
DKIM_PASSED = re.compile(r"\bdkim\s*=\s*pass\b", re.IGNORECASE)


def read_probe(letter: OpenedLetter) -> list[Report]:
    """Recognize a test letter by its subject; its token is verified when it is recorded."""
    found = TOKEN.search(read_subject(letter.headers, MAX_SUBJECT))
    if found is None:
        return []
    return [Report(Kind.PROBE, quoted=letter.quoted, token=found[1], arrival=_describe(letter))]


def _describe(letter: OpenedLetter) -> ProbeArrival:
    # Each server adds its header above those of the servers before it.
    results = get_header(letter.headers, "authentication-results")
    author = AUTHOR.search(get_header(letter.headers, "from")[:1000])
    return ProbeArrival(
        author=author[1].lower() if author else "",
        signatures=tuple(
            _read_signature(value) for value in letter.headers.get("dkim-signature", [])[:MAX_SIGNATURES]
        ),
        has_one_click="list-unsubscribe-post" in letter.headers,
        has_failed=bool(DKIM_FAILED.search(results)) and not DKIM_PASSED.search(results),
        return_path=letter.envelope.sender,
    )


def _read_signature(value: str) -> Signature:
    tags = read_tags(value[:8000])
    names = (name.strip().lower() for name in tags.get("h", "").split(":"))
    return Signature(tags.get("d", "").lower()[:255], frozenset(name for name in names if name))


def find_probe_state(report: Report) -> ReturnedState:
    """Return the state of a test letter: unclear if it is forged or not expected."""
    try:
        probed = read_probe_token(report.token)
    except BadToken as error:
        return ReturnedState.IGNORED if error.reason == "expired" else ReturnedState.UNCLEAR
    is_awaited = _is_awaited(db.session.scalar(_select(probed)), probed)
    return ReturnedState.UNDERSTOOD if is_awaited else ReturnedState.IGNORED


def record_probe(report: Report) -> None:
    """Store how a test letter arrived, once; a forged or late one changes nothing."""
    with suppress(BadToken):
        probed = read_probe_token(report.token)
        locked = _select(probed).with_for_update().execution_options(populate_existing=True)
        target = db.session.scalar(locked)
        if target is None or report.arrival is None or not _is_awaited(target, probed):
            return
        target.probe = target.probe | {"is_awaited": False, "arrival": report.arrival.to_json()}
        if isinstance(target, Route):
            _judge_return_path(target, report.arrival)
        db.session.flush()


def _judge_return_path(route: Route, arrival: ProbeArrival) -> None:
    """Use return paths with tokens if the tested one arrived unchanged."""
    tried = route.probe.get("return_path", "")
    if tried:
        is_kept = (arrival.return_path or "").lower() == tried.lower()
        route.bounce_address = route.probe["bounce_address"] if is_kept else ""


def _select(probed: Probed) -> Any:
    if probed.route:
        return select(Route).where(Route.name == probed.route)
    return select(SendingDomain).where(SendingDomain.id == min(probed.domain_id, LARGEST_ID))


def _is_awaited(target: SendingDomain | Route | None, probed: Probed) -> bool:
    """Return whether the letter is the last one sent, and arrives for the first time."""
    sent_at: datetime | None = target.probe_sent_at if target else None
    is_last = sent_at is not None and sent_at.isoformat() == probed.sent_at
    return target is not None and is_last and bool(target.probe.get("is_awaited"))
