"""Describe results in words: why letters were not delivered, and shares of letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import format_decimal, lazy_gettext, lazy_pgettext
from flask_babel import gettext as _

from skymailing.delivery.smtp.reasons import RefusalReason, find_reason
from skymailing.mailings.comparison import BY_NAME, Comparison, compare, judge, judge_revenue
from skymailing.mailings.queries import Ledger
from skymailing.mailings.results import RETURNED, Cause
from skymailing.models import Attempt, DeliveryState, Outcome
from skymailing.web.money import format_money

CAUSE_TEXTS: dict[str, Any] = {
    RefusalReason.NO_ADDRESS: lazy_gettext("address does not exist"),
    RefusalReason.NO_DOMAIN: lazy_pgettext("cause", "domain does not exist"),
    RefusalReason.FULL_MAILBOX: lazy_pgettext("cause", "mailbox full"),
    RefusalReason.SPAM: lazy_pgettext("cause", "blocked as spam"),
    RefusalReason.SENDER: lazy_pgettext("cause", "sender or email refused"),
    RefusalReason.TOO_LARGE: lazy_pgettext("cause", "email too large"),
    RefusalReason.TOO_MANY: lazy_pgettext("cause", "too many emails in a short time"),
    RefusalReason.UNAVAILABLE: lazy_pgettext("cause", "mail server unavailable or busy"),
    RefusalReason.OTHER: lazy_pgettext("cause", "another reason"),
    DeliveryState.SUPPRESSED: lazy_pgettext("cause", "unsubscribed or excluded before sending"),
    DeliveryState.EXPIRED: lazy_pgettext("cause", "the mailing ended first"),
    DeliveryState.CANCELLED: lazy_pgettext("cause", "cancelled"),
    RETURNED: lazy_pgettext("cause", "returned later"),
}


MEASURE_TEXTS: dict[str, Any] = {
    "delivered": lazy_gettext("Delivered"),
    "clicked": lazy_gettext("Clicked"),
    "unsubscribed": lazy_pgettext("report", "Unsubscribed"),
    "complaints": lazy_gettext("Spam complaints"),
    "returned": lazy_gettext("Returned later"),
    "revenue": lazy_gettext("Revenue per email"),
}
# The numbers of breakdowns and reports.
NUMBER_TEXTS: dict[str, Any] = {
    "delivered": lazy_gettext("Delivered"),
    "undelivered": lazy_gettext("Not delivered"),
    "unknown": lazy_gettext("Unclear"),
    "not_sent": lazy_pgettext("report", "Not sent"),
    "complaints": lazy_gettext("Spam complaints"),
    "unsubscribed": lazy_pgettext("report", "Unsubscribed"),
    "clicked": lazy_gettext("Clicked"),
    "opened": lazy_gettext("Opened (estimate)"),
}
# Each with the tone of its label.
VERDICT_TEXTS: dict[str, tuple[Any, str]] = {
    "better": (lazy_gettext("better than usual"), "good"),
    "usual": (lazy_gettext("as usual"), "quiet"),
    "worse": (lazy_gettext("worse than usual"), "bad"),
    "early": (lazy_gettext("too early to say"), ""),
}


@dataclass(frozen=True)
class ComparisonText:
    """One line of the comparison with earlier runs."""

    label: str
    share: str
    usual: str
    verdict: str
    tone: str


def describe_comparisons(ledger: Ledger | None, now: datetime) -> list[ComparisonText]:
    """Return how a run did, compared with the owner's earlier mailings; empty if that cannot be said."""
    compared = compare(ledger, ledger.run.mailing.owner_id, now) if ledger else []
    return [describe_comparison(comparison) for comparison in compared]


def describe_comparison(comparison: Comparison) -> ComparisonText:
    """Return a comparison in words."""
    verdict, tone = VERDICT_TEXTS[comparison.verdict]
    return ComparisonText(
        label=str(MEASURE_TEXTS[comparison.name]),
        share=_format(comparison.share, comparison.currency),
        usual=_format(comparison.usual, comparison.currency),
        verdict=str(verdict),
        tone=tone,
    )


@dataclass(frozen=True)
class ChangeText:
    """How a share differs from that of the period before; `tone` is empty if the difference says little.

    `points` are percentage points, or percent of the earlier number if `is_relative`.
    """

    is_higher: bool
    points: str
    tone: str
    is_relative: bool = False


def describe_change(name: str, now: tuple[int, int], before: tuple[int, int]) -> ChangeText | None:
    """Compare the shares of two periods, each a part and a whole; None if there is no difference.

    `name` is that of a measure in `comparison`; a change of another number is neither good nor bad.
    """
    if not now[1] or not before[1] or now[0] > now[1] or before[0] > before[1]:
        return None
    share, usual = (100 * part / whole for part, whole in (now, before))
    points = round(abs(share - usual), 1)
    if not points:
        return None
    tone = VERDICT_TEXTS[judge(name, share, usual, now[1])][1] if name in BY_NAME else "quiet"
    return ChangeText(share > usual, format_decimal(points), "" if tone == "quiet" else tone)


def describe_revenue_change(now: int, before: int) -> ChangeText | None:
    """Compare the revenues of two periods; None if there is no difference."""
    percent = round(100 * abs(now - before) / before) if before else 0
    if not percent:
        return None
    verdict = judge_revenue(now, before)
    tone = "" if verdict == "usual" else VERDICT_TEXTS[verdict][1]
    return ChangeText(now > before, format_decimal(percent), tone, is_relative=True)


def _format(value: float, currency: str) -> str:
    return format_money(round(value), currency) if currency else _format_percent(value)


def explain_cause(cause: Cause) -> str:
    """Return why letters were not delivered or not sent."""
    return str(CAUSE_TEXTS[cause.name])


def explain_reply(attempt: Attempt) -> str:
    """Return a mail server's reply in words; empty if there are none that would say more than the reply."""
    if attempt.outcome is Outcome.SENT:
        return str(_("accepted by the mail server"))
    if attempt.code is None:  # the engine's own message, which is in words already
        return ""
    reason = find_reason(attempt.answer)
    return "" if reason is RefusalReason.OTHER else str(CAUSE_TEXTS[reason])


def format_share(part: int, whole: int) -> str:
    """Return a percentage that is 0 or 100 only if that is exact; empty if `whole` is 0."""
    if not whole:
        return ""
    return _format_percent(100 * part / whole)


def _format_percent(percent: float) -> str:
    if 0 < percent < 100:
        percent = min(max(percent, 0.01), 99.9)
    digits = 1 if percent >= 1 else 2
    return str(_("%(percent)s%%", percent=format_decimal(round(percent, digits))))
