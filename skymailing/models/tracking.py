"""Models for recipients' reactions to letters: the links that they followed, and opens.

Times are in milliseconds since 1970, as in hits, because converting a hundred thousand of them takes seconds.
"""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Date, ForeignKey, Index, SmallInteger, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.types import BigId, UTCDateTime


class OpenTracking(StrEnum):
    """The data to store about opens of a mailing's letters."""

    OFF = "off"
    DAY = "day"  # the day of the last open, which needs no consent
    PERSON = "person"  # the number of opens and the day of the last one, only for people who have consented


class RunLink(Model):
    """A link in the letters of a run, with the number that replaces it and its counts.

    It is kept when the run's details are removed, because links in letters work for as long as the run
    exists.
    """

    __tablename__ = "run_links"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # Counts from 1, in the order of the links in the letter.
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    url: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(String(200), default="", server_default="")  # its text
    # The A/B test's variants that contain the link, as the sum of their `variant_bit`; 0 without a test.
    variants: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    # How many recipients followed the link, how many times they did, and how many times machines did.
    people: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    clicks: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    machine_clicks: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


def variant_bit(variant: int) -> int:
    """Return the bit in `RunLink.variants` of the variant with this number."""
    return 1 << variant >> 1


class Engagement(Model):
    """The clicks and opens of a letter's recipient, if there are any.

    It is removed with the run's details.
    """

    __tablename__ = "engagements"

    # No foreign key, which would be checked for each deleted letter: `remove_letters_in` removes the row.
    delivery_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    # Copied from the run, for segments.
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"), index=True)
    # Clicks by people: NULL and 0 if only machines followed links.
    first_click_at: Mapped[int | None] = mapped_column(BigInteger)
    clicks: Mapped[int] = mapped_column(default=0, server_default="0")
    machine_clicks: Mapped[int] = mapped_column(default=0, server_default="0")
    opened_on: Mapped[date | None] = mapped_column(Date)  # the last day on which it was opened
    # Only in mailings that count opens per person, and only for people who have consented.
    opens: Mapped[int] = mapped_column(default=0, server_default="0")
    last_open_at: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index(None, "run_id", "delivery_id"),)


class Click(Model):
    """A recipient's clicks on one link of a letter; removed with the run's details."""

    __tablename__ = "clicks"

    delivery_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    first_at: Mapped[int] = mapped_column(BigInteger)
    # The last hit, and whether it counts as a person's: later hits of a burst can turn it into a machine's.
    last_at: Mapped[int] = mapped_column(BigInteger)
    was_person: Mapped[bool] = mapped_column(default=False, server_default=false())
    clicks: Mapped[int] = mapped_column(default=0, server_default="0")
    machine_clicks: Mapped[int] = mapped_column(default=0, server_default="0")

    # To list the recipients who followed a link.
    __table_args__ = (Index(None, "run_id", "number", "delivery_id"),)


class HitFold(Model):
    """The progress of adding a batch of hits to the counts, so that no hit is added twice."""

    __tablename__ = "hit_folds"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    done: Mapped[int] = mapped_column(default=0, server_default="0")  # hits
    folded_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
