"""The plain values from which services create and update a mailing."""

from dataclasses import dataclass, field
from datetime import datetime, time
from zoneinfo import ZoneInfo

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.mailings.selection import Selection
from skymailing.mailings.variants import VariantValues
from skymailing.models import (
    EVERY_DAY,
    Audience,
    Mailing,
    OnLate,
    OnPassed,
    OnUnknown,
    OpenTracking,
    Periodicity,
    RepeatUnit,
    WinnerBy,
)

# A one-time mailing that has run keeps these, because they describe what was sent.
CONTENT_FIELDS = (
    *("message_id", "sender_id", "sender_name", "topic_id", "audience", "include", "exclude", "clients"),
    *("starts_at", "periodicity", "repeat_unit", "repeat_every", "repeat_weekdays", "repeat_on_last_day"),
    *("is_local_time", "on_passed", "on_late", "track_clicks", "track_opens"),
    *("variants", "sample_percent", "test_hours", "winner_by"),
)
SENDER_NAME_MAX_LENGTH = 200


@dataclass(frozen=True)
class MailingValues:
    """An owner's choices for a mailing; None where no choice was made."""

    name: str = ""
    message_id: int | None = None
    sender_id: int | None = None  # None: the service's own address
    sender_name: str = ""  # empty: the sender's name, or the name in the owner's profile
    topic_id: int | None = None
    audience: Audience = Audience.ALL
    clients: Selection = field(default_factory=Selection)  # for Audience.SELECTED
    # Segments and tags, as `mailings.audience` names them. Exclusions also apply to Audience.ALL.
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    starts_at: datetime | None = None  # None: now
    is_local_time: bool = False  # clients get it when their clocks show the start time
    on_passed: OnPassed = OnPassed.SEND  # for clients whose time has already passed
    ends_at: datetime | None = None
    periodicity: Periodicity = Periodicity.ONCE
    # For Periodicity.CUSTOM: weekdays (digits, 1 is Monday) of a week, the last day of a month.
    repeat_unit: RepeatUnit = RepeatUnit.WEEK
    repeat_every: int = 1
    repeat_weekdays: str = ""  # empty: the weekday of the start
    repeat_on_last_day: bool = False
    weekdays: str = EVERY_DAY  # digits, 1 is Monday; empty: every day
    opens_at: time | None = None  # sending hours, in the owner's time zone
    closes_at: time | None = None
    on_late: OnLate = OnLate.SEND
    on_unknown: OnUnknown = OnUnknown.HOLD
    track_clicks: bool = False
    track_opens: OpenTracking = OpenTracking.OFF
    variants: tuple[VariantValues, ...] = ()  # other than A; empty: no test
    sample_percent: int = 20
    test_hours: int = 4
    winner_by: WinnerBy = WinnerBy.CLICKS

    @property
    def selection(self) -> Selection | None:
        """The selected clients; None if the mailing is not for selected clients."""
        return self.clients if self.audience is Audience.SELECTED else None

    def sending_hours(self, zone: ZoneInfo) -> SendingHours:
        """Return the days and hours in which letters may be sent."""
        return SendingHours(self._sort_weekdays(), self.opens_at, self.closes_at, zone)

    def apply_to(self, mailing: Mailing, now: datetime, *, keeps_content: bool = False) -> None:
        """Copy these values, which must be valid, to a mailing; `keeps_content` skips CONTENT_FIELDS.

        The clients and the variants are not copied.
        """
        mailing.name = self.name.strip()
        mailing.on_unknown = self.on_unknown
        self.apply_times_to(mailing, now, keeps_start=keeps_content)
        if not keeps_content:
            assert self.message_id is not None  # validated
            mailing.message_id = self.message_id
            mailing.sender_id = self.sender_id
            mailing.sender_name = self.sender_name.strip()
            mailing.topic_id = self.topic_id
            has_exclusions = self.audience is Audience.ALL and bool(self.exclude)
            mailing.audience = Audience.ALL_EXCEPT if has_exclusions else self.audience
            mailing.on_late = self.on_late
            mailing.track_clicks, mailing.track_opens = self.track_clicks, self.track_opens
            mailing.sample_percent = self.sample_percent if self.variants else 0
            mailing.test_hours, mailing.winner_by = self.test_hours, self.winner_by

    def apply_times_to(self, mailing: Mailing, now: datetime, *, keeps_start: bool = False) -> None:
        """Copy the times, which must be valid, to a mailing; `keeps_start` skips start and periodicity."""
        assert self.ends_at is not None  # validated
        mailing.ends_at = self.ends_at
        mailing.weekdays = self._sort_weekdays()
        mailing.opens_at, mailing.closes_at = self.opens_at, self.closes_at
        if keeps_start:
            return
        self._apply_recurrence_to(mailing)
        mailing.is_local_time = self.is_local_time
        mailing.on_passed = self.on_passed if self.is_local_time else OnPassed.SEND
        starts_at = self.starts_at or now
        # Pages show no fractions of a second, so equal seconds mean an unchanged start.
        if mailing.starts_at is None or not is_same_second(mailing.starts_at, starts_at):
            mailing.starts_at = starts_at

    def _apply_recurrence_to(self, mailing: Mailing) -> None:
        is_custom = self.periodicity is Periodicity.CUSTOM
        mailing.periodicity = self.periodicity
        mailing.repeat_unit = self.repeat_unit if is_custom else RepeatUnit.WEEK
        mailing.repeat_every = self.repeat_every if is_custom else 1
        is_weekly = is_custom and self.repeat_unit is RepeatUnit.WEEK
        mailing.repeat_weekdays = _sort_days(self.repeat_weekdays) if is_weekly else ""
        is_monthly = is_custom and self.repeat_unit is RepeatUnit.MONTH
        mailing.repeat_on_last_day = is_monthly and self.repeat_on_last_day

    def _sort_weekdays(self) -> str:
        return _sort_days(self.weekdays) or EVERY_DAY


def _sort_days(days: str) -> str:
    return "".join(sorted(set(days)))


def is_same_second(one: datetime, other: datetime) -> bool:
    return one.replace(microsecond=0) == other.replace(microsecond=0)
