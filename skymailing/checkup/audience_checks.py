"""Check a mailing's audience: its size, and how many clients have forgotten the sender or are quiet."""

from dataclasses import dataclass

from skymailing.checkup.results import PASSED, Result, advise, warn

FIRST_LETTERS = 5_000  # in a first mailing; smaller ones need no caution
# A jump has at least MIN_LETTERS letters, and more than MAX_FACTOR times as many as the largest run.
MIN_LETTERS, MAX_FACTOR = 1_000, 5
MIN_RUNS = 3  # with fewer earlier runs, most clients are new to the sender
MIN_SAMPLE = 100
MAX_FORGOTTEN = 0.5  # of the clients
MAX_QUIET = 0.3
MAX_BOUNCED, MANY_BOUNCED = 0.05, 0.1  # of the letters of the last mailing


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of the clients: how many have had no letter for months, and how many are quiet, if known."""

    clients: int
    forgotten: int
    quiet: int | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """The owner's earlier runs: their number, the largest, and how many letters of the last one bounced."""

    runs: int = 0
    largest: int = 0
    last_id: int = 0
    last_letters: int = 0
    last_bounced: int = 0


@dataclass(frozen=True, slots=True)
class Crowd:
    """The clients who get a mailing; `sample` is None if there was no time to take one."""

    letters: int
    earlier: Earlier
    sample: Sample | None


def check_first_volume(crowd: Crowd) -> Result | None:
    if crowd.earlier.runs:
        return None
    return advise(count=crowd.letters) if crowd.letters >= FIRST_LETTERS else PASSED


def check_volume(crowd: Crowd) -> Result | None:
    """Find mailings that are much larger than all earlier ones, which providers treat with caution."""
    if not crowd.earlier.runs:
        return None
    is_jump = crowd.letters >= MIN_LETTERS and crowd.letters > MAX_FACTOR * crowd.earlier.largest
    return advise(count=crowd.letters, largest=crowd.earlier.largest) if is_jump else PASSED


def check_acquaintance(crowd: Crowd) -> Result | None:
    """Find mailings mostly to clients who have had no letter for months, or none at all."""
    sample = crowd.sample
    if sample is None or sample.clients < MIN_SAMPLE or crowd.earlier.runs < MIN_RUNS:
        return None
    share = sample.forgotten / sample.clients
    return advise(percent=100 * share) if share >= MAX_FORGOTTEN else PASSED


def check_quiet_clients(crowd: Crowd) -> Result | None:
    sample = crowd.sample
    if sample is None or sample.clients < MIN_SAMPLE or sample.quiet is None:
        return None
    share = sample.quiet / sample.clients
    return advise(percent=100 * share) if share >= MAX_QUIET else PASSED


def check_bounces(crowd: Crowd) -> Result | None:
    """Check what share of the last mailing's letters was refused or returned."""
    earlier = crowd.earlier
    if not earlier.last_letters:
        return None
    share = earlier.last_bounced / earlier.last_letters
    values = {"percent": 100 * share, "id": earlier.last_id}
    return PASSED if share <= MAX_BOUNCED else warn(**values) if share > MANY_BOUNCED else advise(**values)
