"""Find where a link in a letter leads, from memory after the first request for a run."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import select

from skymailing.db.engine import reading_engine
from skymailing.delivery.eligibility import is_allowed
from skymailing.delivery.rendering.click_tokens import ClickSigner, ClickToken
from skymailing.models import Mailing, Run, RunLink, User

MAX_RUNS = 1_000  # of which a process remembers the links
# Seconds until a run is read again: a manager may have disabled its mailing, or its owner deleted it.
REMEMBERED = 60


class UnknownLink(Exception):
    """We did not sign the link, or its run no longer exists."""


class DisabledLink(Exception):
    """A manager has disabled the mailing, or blocked its owner."""


@dataclass(frozen=True, slots=True)
class RunTargets:
    """The links of a run by number, and the signer of its letters."""

    signer: ClickSigner
    urls: dict[int, str]
    is_allowed: bool
    read_at: float  # time.monotonic()


_runs: OrderedDict[int, RunTargets] = OrderedDict()  # the least recently read first
_lock = Lock()


def find_letter(text: str, *, only_remembered: bool = False) -> tuple[ClickToken, RunTargets]:
    """Return the letter that a token names, and the links of its run; raises UnknownLink and DisabledLink.

    With `only_remembered`, a run that is not in memory is unknown, and nothing is read.
    """
    try:
        token = ClickToken(text)
    except ValueError as error:
        raise UnknownLink from error
    targets = _recall(token.run_id) or (None if only_remembered else _remember(token.run_id))
    if targets is None or not token.is_signed_by(targets.signer):
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
    is_recent = found is not None and time.monotonic() - found.read_at < REMEMBERED
    return found if is_recent else None


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
        urls = dict(connection.execute(links).tuples().all())
    return RunTargets(ClickSigner(run_id, row[0]), urls, bool(row[1]), time.monotonic())
