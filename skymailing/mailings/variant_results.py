"""Describe the test of a run: the results of its variants, and what the other clients get."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from flask_babel import ngettext

from skymailing.delivery.variants.contents import load_headers
from skymailing.delivery.variants.results import Result, read_results
from skymailing.extensions import db
from skymailing.mailings.formats import format_clock_time, format_number
from skymailing.mailings.queries import Ledger
from skymailing.mailings.result_text import format_share
from skymailing.mailings.variants import letter_of
from skymailing.models import TESTED_STATES, Decision, MailingState, Run, WinnerBy


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the results: a variant (`letter` is A to D), or the clients outside the sample (empty)."""

    letter: str
    number: int
    subject: str
    sender_name: str
    planned: int
    sent: int
    clicked: int
    share: str  # the percentage of sent letters in which a person clicked
    is_winner: bool = False

    @property
    def unsent(self) -> int:
        """The number of letters that have not been sent, at least not yet."""
        return self.planned - self.sent


@dataclass(frozen=True, slots=True)
class DescribedTest:
    """The test of a run as shown on its page."""

    run: Run
    rows: list[Row]
    others: Row
    sentence: str
    can_choose: bool

    @property
    def has_other_senders(self) -> bool:
        """Whether the variants have different sender names."""
        return len({row.sender_name for row in self.rows}) > 1


def describe_test(run: Run, ledger: Ledger, now: datetime) -> DescribedTest | None:
    """Return the test of a run with its results; None if it has none, or no clients."""
    if run.test_ends_at is None or not run.planned:
        return None
    results = read_results(db.session(), run)
    headers = load_headers(db.session(), run.id)
    rows = [
        _make_row(result, *headers[result.number], is_winner=result.number == run.winner)
        for result in results
    ]
    others = _make_row(_subtract(run, ledger, results))
    is_open = run.state in TESTED_STATES and run.mailing.state is not MailingState.CANCELLED
    can_choose = is_open and run.is_testing and now < run.mailing.ends_at and not run.mailing.is_disabled
    # While the sample is being sent, some of its letters are pending, too.
    waiting = min(ledger["pending"], others.planned) if is_open else others.unsent
    sentence = explain_test(run, results, waiting, now, is_open=is_open)
    return DescribedTest(run, rows, others, sentence, can_choose)


def _make_row(result: Result, subject: str = "", sender_name: str = "", *, is_winner: bool = False) -> Row:
    share = format_share(result.clicked, result.sent)
    letter = letter_of(result.number) if result.number else ""
    counts = (result.planned, result.sent, result.clicked)
    return Row(letter, result.number, subject, sender_name, *counts, share, is_winner)


def _subtract(run: Run, ledger: Ledger, results: Sequence[Result]) -> Result:
    """Return the result of the clients outside the sample, so that all rows add up to the ledger."""
    return Result(
        0,
        run.planned - sum(result.planned for result in results),
        ledger["sent"] - sum(result.sent for result in results),
        run.clicked - sum(result.clicked for result in results),
    )


def explain_test(run: Run, results: Sequence[Result], waiting: int, now: datetime, *, is_open: bool) -> str:
    """Return what happens next in a test, or which variant has won and why."""
    if run.winner is not None:
        return _explain_decision(run, results)
    if not is_open:
        return _explain_end(waiting)
    if run.winner_by == WinnerBy.OWNER:
        return _explain_choice(waiting, format_clock_time(run.mailing.ends_at, now))
    assert run.test_ends_at is not None
    if run.test_ends_at <= now:
        return str(_("The winner is being chosen."))
    text: str = ngettext(
        "%(count)s client is waiting for the winner, which is chosen at %(time)s.",
        "%(count)s clients are waiting for the winner, which is chosen at %(time)s.",
        waiting,
        count=format_number(waiting),
        time=format_clock_time(run.test_ends_at, now),
    )
    return text


def _explain_choice(waiting: int, ends_at: str) -> str:
    text: str = ngettext(
        "%(count)s client is waiting. Choose which variant they get, by %(time)s.",
        "%(count)s clients are waiting. Choose which variant they get, by %(time)s.",
        waiting,
        count=format_number(waiting),
        time=ends_at,
    )
    return text


def _explain_decision(run: Run, results: Sequence[Result]) -> str:
    assert run.winner is not None
    winner = letter_of(run.winner)
    if run.decision == Decision.OWNER:
        return str(_("You chose variant %(winner)s.", winner=winner))
    if run.decision == Decision.CLICKS:
        return str(_("%(winner)s won: a clearly larger share of its recipients clicked.", winner=winner))
    if not any(result.planned for result in results):
        return str(_("There are too few clients for a sample, so all get %(winner)s.", winner=winner))
    rates = sorted((result.rate for result in results), reverse=True)
    if len(rates) > 1 and rates[0] == rates[1]:
        return str(_("No difference: equal shares clicked, so the others get %(winner)s.", winner=winner))
    return str(
        _(
            "No clear difference: it may be due to chance. The others get %(winner)s, the best so far.",
            winner=winner,
        )
    )


def _explain_end(waiting: int) -> str:
    if not waiting:
        return str(_("All clients were in the sample, so no one was waiting for the winner."))
    text: str = ngettext(
        "The mailing ended before a winner was chosen, so %(count)s client got no email.",
        "The mailing ended before a winner was chosen, so %(count)s clients got no email.",
        waiting,
        count=format_number(waiting),
    )
    return text
