"""Model for users' usage per hour."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from skymailing.models.base import Model
from skymailing.models.types import UTCDateTime


class UsageKind(StrEnum):
    """The kinds of usage that are counted; stored as text, so that a new kind needs no migration."""

    LETTERS = "letters"
    TEST_LETTERS = "test-letters"
    IMPORTS = "imports"
    SENDER_LETTERS = "sender-letters"  # confirmations of senders
    REVIEWER_LETTERS = "reviewer-letters"  # requests for consent to get test letters
    LINK_CHECKS = "link-checks"
    SERVER_TESTS = "server-tests"  # connections to test mail servers
    WEBHOOK_TESTS = "webhook-tests"  # test calls to webhooks
    # Problems with letters of mailings, counted in the hour in which the letter was sent.
    BOUNCES = "bounces"  # the address does not exist
    COMPLAINTS = "complaints"
    # Letters that mail servers accepted, counted at that time, even if they are returned later.
    ACCEPTED = "accepted"


# An owner's reputation is computed from these counts.
RATED_KINDS = (UsageKind.LETTERS, UsageKind.BOUNCES, UsageKind.COMPLAINTS)
# The panel shows these counts for 30 days, so they are kept longer than those for limits.
SHOWN_KINDS = (*RATED_KINDS, UsageKind.ACCEPTED)


class Limited(StrEnum):
    """The quantities that a user's limits apply to, as listed on pages."""

    LETTERS_PER_HOUR = "letters-per-hour"
    LETTERS_PER_DAY = "letters-per-day"
    CLIENTS = "clients"
    MESSAGES = "messages"
    MAILINGS = "mailings"
    SEGMENTS = "segments"
    SEQUENCES = "sequences"
    FORMS = "forms"
    TOPICS = "topics"
    SENDERS = "senders"
    DOMAINS = "domains"
    SERVERS = "servers"
    WEBHOOKS = "webhooks"
    DRAFTS = "drafts"
    PICTURES = "pictures"
    PICTURE_MEGABYTES = "picture-megabytes"
    FILE_MEGABYTES = "file-megabytes"
    TEST_LETTERS_PER_HOUR = "test-letters-per-hour"
    IMPORTS_PER_DAY = "imports-per-day"


class UsageHour(Model):
    """A user's usage of one kind in one hour.

    Each process counts accepted letters in its own row, with `begins_at` up to 0.4 s past the hour.
    """

    __tablename__ = "usage_hours"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
