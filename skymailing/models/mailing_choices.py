"""The choices for a mailing: its audience, its recurrence, and how to handle exceptions."""

from enum import StrEnum


class Audience(StrEnum):
    ALL = "all"
    ALL_EXCEPT = "all_except"  # shown as ALL; a separate value, because old versions would ignore exclusions
    SELECTED = "selected"
    SEGMENTS = "segments"  # composed of segments and tags, see MailingAudience


class Periodicity(StrEnum):
    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    CUSTOM = "custom"  # defined by the columns `repeat_…`


class RepeatUnit(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class OnUnknown(StrEnum):
    """The action when it is unknown whether the server accepted a letter."""

    RESEND = "resend"
    HOLD = "hold"


class OnLate(StrEnum):
    """The action when a run could not start on time, for example because the service was down."""

    SEND = "send"
    SKIP = "skip"


class OnPassed(StrEnum):
    """When clients get a mailing at local time if that time has passed when the run is planned."""

    SEND = "send"
    NEXT_DAY = "next_day"


EVERY_DAY = "1234567"
