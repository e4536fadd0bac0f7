"""The base class of all models and the timestamp columns that many share."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Mapped, mapped_column

from skymailing.clock import utcnow
from skymailing.extensions import Base, db
from skymailing.models.types import UTCDateTime

# Flask-SQLAlchemy creates its base class at run time, so type checkers do not see it.
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class Timestamps:
    """The times at which a row was created and last changed."""

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, onupdate=utcnow)
