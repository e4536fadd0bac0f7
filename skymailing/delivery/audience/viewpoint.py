"""Define the owner and the time for which conditions are evaluated."""

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

    The objects that conditions refer to are looked up in `session`, which is the caller's: on SQLite, a
    second transaction would wait for the first.
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
