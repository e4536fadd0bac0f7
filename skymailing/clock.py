"""The one place that asks the time."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the current moment, aware, in UTC."""
    return datetime.now(UTC)
