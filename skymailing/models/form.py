"""Models for public sign-up forms, and for requests that people have not confirmed yet."""

from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.consent import ConsentText
from skymailing.models.segment import Tag
from skymailing.models.sender import Sender
from skymailing.models.topic import Topic
from skymailing.models.types import BigId, JsonObject, UTCDateTime
from skymailing.models.user import User

FORM_NAME_MAX_LENGTH = 200
FORM_LINE_MAX_LENGTH = 200  # title and subject
BUTTON_MAX_LENGTH = 60
URL_MAX_LENGTH = 500
AGENT_MAX_LENGTH = 300
IS_OPEN = text("confirmed_at IS NULL")
IS_WAITING = text("is_waiting")

form_tags = Table(
    "form_tags",
    Model.metadata,
    Column("form_id", ForeignKey("forms.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "tag_id"),
    sqlite_with_rowid=False,
)

# The topics that people join by confirming.
form_topics = Table(
    "form_topics",
    Model.metadata,
    Column("form_id", ForeignKey("forms.id", ondelete="CASCADE"), primary_key=True),
    Column("topic_id", ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "topic_id"),
    sqlite_with_rowid=False,
)

# The clients who signed up through a form and confirmed their address, for segments.
client_forms = Table(
    "client_forms",
    Model.metadata,
    # The columns are in this order so that the key finds all clients of a form.
    Column("form_id", ForeignKey("forms.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "client_id"),
    sqlite_with_rowid=False,
)


class SignupForm(Timestamps, Model):
    """A public form through which people subscribe to an owner's mailings."""

    __tablename__ = "forms"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # The part of the public page's URL that cannot be guessed; it never changes.
    uuid: Mapped[str] = mapped_column(String(36), default=lambda: str(uuid4()))
    name: Mapped[str] = mapped_column(String(FORM_NAME_MAX_LENGTH))  # only the owner sees it
    is_open: Mapped[bool] = mapped_column(default=True, server_default=true())
    language: Mapped[str] = mapped_column(String(10), default="en")
    # Empty texts are replaced with the default ones in the form's language.
    title: Mapped[str] = mapped_column(String(FORM_LINE_MAX_LENGTH), default="", server_default="")
    introduction: Mapped[str] = mapped_column(Text, default="", server_default="")
    button: Mapped[str] = mapped_column(String(BUTTON_MAX_LENGTH), default="", server_default="")
    consent_text: Mapped[str] = mapped_column(Text, default="", server_default="")
    thanks_text: Mapped[str] = mapped_column(Text, default="", server_default="")
    # The owner's page that people are redirected to after confirming, if any.
    thanks_url: Mapped[str] = mapped_column(String(URL_MAX_LENGTH), default="", server_default="")
    # The form's fields in addition to the address: {"key", "label", "is_required"}; see `signup.fields`.
    fields: Mapped[list[dict[str, Any]]] = mapped_column(JsonObject, default=list)
    # Whether the form also asks for consent to count opens, and the text of that question.
    asks_tracking: Mapped[bool] = mapped_column(default=False, server_default=false())
    tracking_text: Mapped[str] = mapped_column(Text, default="", server_default="")
    confirm_subject: Mapped[str] = mapped_column(String(FORM_LINE_MAX_LENGTH), default="", server_default="")
    confirm_body: Mapped[str] = mapped_column(Text, default="", server_default="")
    # The sender of confirmation letters; NULL for the service, since a form, unlike a mailing, needs no
    # sender.
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("senders.id", ondelete="SET NULL"), index=True)

    owner: Mapped[User] = relationship()
    sender: Mapped[Sender | None] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=form_tags, order_by=Tag.name_key, passive_deletes=True)

    topics: Mapped[list[Topic]] = relationship(
        secondary=form_topics, order_by=Topic.position, passive_deletes=True
    )

    # Consents and segments refer to forms by these IDs, so a deleted form's ID is never reused.
    __table_args__ = (UniqueConstraint("uuid"), {"sqlite_autoincrement": True})


class Signup(Model):
    """A person's request to subscribe; the person becomes a client by confirming the address."""

    __tablename__ = "signups"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    form_id: Mapped[int] = mapped_column(ForeignKey("forms.id", ondelete="CASCADE"), index=True)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(320))
    # What the person entered, by the keys of the form's fields.
    values: Mapped[dict[str, Any]] = mapped_column(JsonObject, default=dict)
    # How many times the form was submitted with this address.
    requests: Mapped[int] = mapped_column(default=1)
    # The evidence of the latest request, with the consent text that the person saw.
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ip: Mapped[str] = mapped_column(String(45), default="")
    agent: Mapped[str] = mapped_column(String(AGENT_MAX_LENGTH), default="")
    text_id: Mapped[int | None] = mapped_column(ForeignKey("consent_texts.id"), index=True)
    # The text of the consent to count opens; NULL if the person did not give it. There is no foreign key,
    # because texts are only deleted together with their owner.
    tracking_text_id: Mapped[int | None]
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Confirmed, but not a client yet, because the owner's client limit was reached.
    is_waiting: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    form: Mapped[SignupForm] = relationship()
    text: Mapped[ConsentText | None] = relationship()
    tracking_text: Mapped[ConsentText | None] = relationship(
        primaryjoin="ConsentText.id == foreign(Signup.tracking_text_id)", viewonly=True
    )

    @property
    def state(self) -> str:
        """The state in API responses."""
        return "pending" if self.confirmed_at is None else "confirmed"

    __table_args__ = (
        # One open request per form and address; a later one replaces its values.
        Index(
            "uq_signups_open",
            "form_id",
            "email_key",
            unique=True,
            postgresql_where=IS_OPEN,
            sqlite_where=IS_OPEN,
        ),
        Index("ix_signups_waiting", "owner_id", postgresql_where=IS_WAITING, sqlite_where=IS_WAITING),
        # Links in letters contain the ID, so the ID of a removed row is never reused.
        {"sqlite_autoincrement": True},
    )


class FormDay(Model):
    """How many people requested and confirmed a subscription through a form on a day (UTC)."""

    __tablename__ = "form_days"

    form_id: Mapped[int] = mapped_column(ForeignKey("forms.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    requested: Mapped[int] = mapped_column(default=0)
    confirmed: Mapped[int] = mapped_column(default=0)


class SignupMailbox(Model):
    """The times of the latest three confirmation letters to a mailbox, to limit all forms' letters to it.

    It is in the database, because this limit must also work without Redis. It belongs to no owner and
    contains only a hash of the address.
    """

    __tablename__ = "signup_mailboxes"

    mailbox: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of `person_key`
    latest_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    second_at: Mapped[datetime] = mapped_column(UTCDateTime)
    third_at: Mapped[datetime] = mapped_column(UTCDateTime)
