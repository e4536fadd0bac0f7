"""Define for which owner, and at what time, conditions are evaluated."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session, object_session

from skymailing.delivery.rendering.values import ValueFormats
from skymailing.models import User

# The first and last days whose midnight, in any time zone, can be converted to UTC.
EARLIEST, LATEST = date(1, 1, 3), date(9999, 12, 30)


@dataclass(frozen=True)
class Viewpoint:
    """The owner, the formats and the time for which conditions are evaluated.

    `session` belongs to the caller's transaction, and looks up the objects that conditions refer to: on
    SQLite, a second transaction would wait for the first.
    """

    session: Session
    owner_id: int
    formats: ValueFormats
    zone: ZoneInfo
    now: datetime

    @classmethod
    def of(cls, owner: User, now: datetime) -> "Viewpoint":
        """Return the viewpoint of an owner, in the session that loaded the owner."""
        session = object_session(owner)
        assert session is not None
        return cls(session, owner.id, ValueFormats.of(owner), ZoneInfo(owner.timezone), now)

    @property
    def today(self) -> date:
        """The date in the owner's time zone."""
        return self.now.astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        """Return the time at which a day begins in the owner's time zone."""
        day = min(max(day, EARLIEST), LATEST)
        return datetime.combine(day, time(), self.zone).astimezone(UTC)
