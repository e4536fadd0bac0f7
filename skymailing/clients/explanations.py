"""Explain the codes that imports store: why a row was rejected or an import failed."""

from skymailing.clients.rows import REJECTION_CODES
from skymailing.errors import UserError
from skymailing.web.error_texts import explain, explain_stored


def explain_rejection(reason: str) -> str:
    """Return why a row was rejected, in the current language."""
    code = REJECTION_CODES.get(reason)
    return explain(UserError(code)) if code else reason


def explain_failure(error: str) -> str:
    """Return why an import failed, in the current language."""
    return explain_stored(error)  # earlier versions stored the text instead of a code
