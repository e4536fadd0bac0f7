"""Explain the codes that imports store: why a row was rejected or an import failed."""

from skymailing.clients.rows import REJECTION_CODES
from skymailing.errors import UserError
from skymailing.web.error_texts import ERROR_TEXTS, explain


def explain_rejection(reason: str) -> str:
    """Return why a row was rejected, in the current language."""
    code = REJECTION_CODES.get(reason)
    return explain(UserError(code)) if code else reason


def explain_failure(error: str) -> str:
    """Return why an import failed, in the current language."""
    # Earlier versions stored the text itself.
    return explain(UserError(error)) if error in ERROR_TEXTS else error
