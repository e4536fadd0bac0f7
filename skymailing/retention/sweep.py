"""Remove expired data as part of the sweep."""

from datetime import datetime

from flask import current_app

from skymailing.retention import caught, details, housekeeping, sequences
from skymailing.retention.batches import TimeBudget
from skymailing.settings.retention import find_cutoff, retention_settings

SECONDS_PER_SWEEP = 1.0  # one runs every 15 seconds


def remove_old(now: datetime, seconds: float = SECONDS_PER_SWEEP) -> dict[str, int]:
    """Remove expired data for at most `seconds`; return the number of removed rows by kind."""
    days = retention_settings()
    budget = TimeBudget(seconds)
    if cutoff := find_cutoff(days.account_letters, now):
        housekeeping.remove_account_letters(cutoff, budget)
    if cutoff := find_cutoff(days.imports, now):
        housekeeping.remove_imports(cutoff, budget)
        housekeeping.remove_bulk_jobs(cutoff, budget)
    if cutoff := find_cutoff(days.consents, now):
        housekeeping.remove_orphaned_consents(cutoff, budget)
        housekeeping.remove_opt_outs(cutoff, budget)
    if cutoff := find_cutoff(days.returned_letters, now):
        housekeeping.remove_returned_letters(cutoff, budget)
    if cutoff := find_cutoff(days.webhook_calls, now):
        housekeeping.remove_webhook_events(cutoff, budget)
    if cutoff := find_cutoff(days.audit, now):
        housekeeping.remove_audit_entries(cutoff, budget)
    if (cutoff := find_cutoff(days.caught_letters, now)) and current_app.config["MAIL_CATCHER"]:
        housekeeping.remove_caught_letters(cutoff, now, budget)
    if cutoff := find_cutoff(days.run_details, now):
        details.remove_old_details(cutoff, now, budget)
        sequences.remove_enrolments(cutoff, now, budget)
    caught.remove_caught(now, budget)
    budget.publish()
    return budget.removed
