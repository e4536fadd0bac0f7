"""Check returned mail: unclear letters, and the total complaints about all users' letters."""

from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from skymailing.clock import utcnow
from skymailing.models import UsageKind
from skymailing.monitoring import queries
from skymailing.monitoring.checks import Check, shorten_error

MAX_UNCLEAR = 100
# The limit that Gmail and Yahoo recommend; they refuse mail above 0.3%.
MAX_COMPLAINTS = 0.1  # percent
PERIOD = timedelta(days=7)
MIN_LETTERS = 1000


def check_returned() -> list[Check]:
    """Check that few returned letters are unclear, and few clients complain."""
    try:
        unclear = queries.count_unclear()
        counts = queries.count_rated(utcnow() - PERIOD)
    except SQLAlchemyError as error:
        return [Check("returned", True, shorten_error(error), "Fix the database first.", is_known=False)]
    return [
        _check_unclear(unclear),
        _check_complaints(counts[UsageKind.LETTERS], counts[UsageKind.COMPLAINTS]),
    ]


def _check_unclear(unclear: int) -> Check:
    finding = f"{unclear:,} letters are unclear"
    if unclear > MAX_UNCLEAR:
        advice = (
            "Read some in the manager panel, under Returned: if they are bounces in a format that is not "
            "recognized, report it; docs/returns.md describes how to add one."
        )
        return Check("returned", False, finding, advice)
    return Check("returned", True, finding)


def _check_complaints(letters: int, complaints: int) -> Check:
    if letters < MIN_LETTERS:
        return Check("complaints", True, f"only {letters:,} letters in the last week", is_known=False)
    percent = complaints * 100 / letters
    finding = f"about {percent:.2f}% of {letters:,} letters in the last week"
    if percent > MAX_COMPLAINTS:
        advice = "Find the users in the manager panel, under Reputation: providers want less than 0.1%."
        return Check("complaints", False, finding, advice)
    return Check("complaints", True, finding)
