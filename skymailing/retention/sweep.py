"""Retention's part of the sweep."""

from datetime import datetime

from flask import current_app

from skymailing.retention import details, housekeeping
from skymailing.retention.batches import Allowance
from skymailing.settings.retention import cutoff, keep

SECONDS = 1.0  # of a sweep, which runs every fifteen


def remove_old(now: datetime, seconds: float = SECONDS) -> dict[str, int]:
    """Remove what is older than was chosen, for a while; return how much of each kind was removed."""
    days = keep()
    allowance = Allowance(seconds)
    if before := cutoff(days.account_letters, now):
        housekeeping.remove_account_letters(before, allowance)
    if before := cutoff(days.imports, now):
        housekeeping.remove_imports(before, allowance)
    if before := cutoff(days.audit, now):
        housekeeping.remove_audit_lines(before, allowance)
    if (before := cutoff(days.caught_letters, now)) and current_app.config["MAIL_CATCHER"]:
        housekeeping.remove_caught_letters(before, now, allowance)
    if before := cutoff(days.run_details, now):
        details.remove_old_details(before, now, allowance)
    allowance.tell()
    return allowance.removed
