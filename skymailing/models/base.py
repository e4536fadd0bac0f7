"""What every model derives from."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Mapped, mapped_column

from skymailing.clock import utcnow
from skymailing.extensions import Base, db
from skymailing.models.types import UTCDateTime

# Flask-SQLAlchemy makes its base at run time, which a type checker cannot follow.
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class Timestamps:
    """When a row came to be and when it last changed."""

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, onupdate=utcnow)
