"""Find the target of a letter's link; after the first request for a run, its links are in memory."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import select

from skymailing.db.engine import LARGEST_ID, reading_engine
from skymailing.delivery.eligibility import is_allowed
from skymailing.delivery.rendering.click_tokens import ClickSigner, ClickToken
from skymailing.delivery.rendering.tracked_links import to_location
from skymailing.models import Mailing, Run, RunLink, User
from skymailing.tracking.hits import TRACKING_IMAGE

MAX_RUNS = 1_000  # runs whose links a process remembers
# Seconds until a run is read again: its mailing may have been disabled by a manager or deleted by its owner.
REMEMBERED = 60
# The same for a link that is not in memory. It may be new: workers add links during a run, and SQLite reuses
# the IDs of deleted runs.
CHECKED = 1


class UnknownLink(Exception):
    """We did not sign the link, or its run no longer exists."""


class DisabledLink(Exception):
    """A manager has disabled the mailing, or blocked its owner."""


@dataclass(frozen=True, slots=True)
class RunTargets:
    """The links of a run by number, and the signer of its letters."""

    signer: ClickSigner
    urls: dict[int, str]  # in ASCII
    is_allowed: bool
    read_at: float  # time.monotonic()

    def has(self, token: ClickToken, number: int) -> bool:
        """Return whether the token is signed, and names a letter with this link."""
        return (number == TRACKING_IMAGE or number in self.urls) and token.is_signed_by(self.signer)

    def is_younger_than(self, seconds: float) -> bool:
        return time.monotonic() - self.read_at < seconds


_runs: OrderedDict[int, RunTargets] = OrderedDict()  # the least recently read first
_lock = Lock()


def find_letter(text: str, number: int, *, only_remembered: bool = False) -> tuple[ClickToken, RunTargets]:
    """Return the letter that a token names, and the links of its run.

    Raises DisabledLink, and UnknownLink if the run has no link `number`, unless the number is TRACKING_IMAGE.
    With `only_remembered`, nothing is read, and a link that is not in memory is unknown.
    """
    try:
        token = ClickToken(text)
    except ValueError as error:
        raise UnknownLink from error
    targets = _recall(token.run_id)
    is_known = targets is not None and targets.has(token, number)
    if not is_known and not only_remembered and (targets is None or not targets.is_younger_than(CHECKED)):
        targets = _remember(token.run_id)
        is_known = targets is not None and targets.has(token, number)
    if targets is None or not is_known:
        raise UnknownLink
    if not targets.is_allowed:
        raise DisabledLink
    return token, targets


def forget_targets() -> None:
    """Forget all runs; the next requests read them again."""
    with _lock:
        _runs.clear()


def _recall(run_id: int) -> RunTargets | None:
    found = _runs.get(run_id)
    return found if found is not None and found.is_younger_than(REMEMBERED) else None


def _remember(run_id: int) -> RunTargets | None:
    found = _read(run_id)
    with _lock:
        _runs.pop(run_id, None)
        if found is not None:
            _runs[run_id] = found
        while len(_runs) > MAX_RUNS:
            _runs.popitem(last=False)
    return found


def _read(run_id: int) -> RunTargets | None:
    if run_id > LARGEST_ID:  # forged; PostgreSQL rejects the number
        return None
    run = (
        select(Run.uuid, is_allowed())
        .join(Mailing, Mailing.id == Run.mailing_id)
        .join(User, User.id == Mailing.owner_id)
        .where(Run.id == run_id)
    )
    links = select(RunLink.number, RunLink.url).where(RunLink.run_id == run_id)
    with reading_engine().connect() as connection:
        row = connection.execute(run).one_or_none()
        if row is None:
            return None
        stored = connection.execute(links).tuples().all()
    urls = {number: location for number, url in stored if (location := to_location(url)) is not None}
    return RunTargets(ClickSigner(run_id, row[0]), urls, bool(row[1]), time.monotonic())
