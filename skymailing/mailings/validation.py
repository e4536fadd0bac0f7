"""Validate a mailing's values, for forms and for services."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import select

from skymailing.delivery.audience.flags import check_flags
from skymailing.delivery.audience.memberships import topic_condition
from skymailing.delivery.audience.parts import (
    AudienceParts,
    BrokenAudience,
    EmptyAudience,
    Part,
    compile_parts,
)
from skymailing.delivery.composition.current import read_current
from skymailing.delivery.rendering.content import Content, TemplateError
from skymailing.delivery.senders import find_problem
from skymailing.extensions import db
from skymailing.mailings import scheduling
from skymailing.mailings.audience import MAX_PARTS, choose_parts, find_parts
from skymailing.mailings.errors import SENDER_PROBLEMS, MailingError
from skymailing.mailings.header_text import check_line
from skymailing.mailings.selection import Conditions, Selection, count_selected
from skymailing.mailings.values import CONTENT_FIELDS, SENDER_NAME_MAX_LENGTH, MailingValues
from skymailing.mailings.variant_validation import check_test
from skymailing.models import (
    EVERY_DAY,
    Audience,
    Mailing,
    MailingState,
    Message,
    Periodicity,
    Sender,
    User,
)
from skymailing.topics.queries import find_topic
from skymailing.web.timezones import FIRST_YEAR, LAST_YEAR

NAME_MAX_LENGTH = 200
MAX_EVERY = 366  # days, weeks, months or years between two occurrences
# Filling in the form takes a while; a start time that passes before it is submitted still means "now".
PAST_TOLERANCE = timedelta(minutes=10)


class MailingValidation:
    """One validation of a mailing's values; `mailing` is the mailing to edit, None for a new one.

    `unread` names fields that a form could not read: they are neither checked nor compared with other fields.
    """

    def __init__(
        self,
        owner: User,
        values: MailingValues,
        now: datetime,
        mailing: Mailing | None = None,
        unread: Collection[str] = (),
    ) -> None:
        self.owner = owner
        self.values = values
        self.now = now
        self.mailing = mailing
        self.keeps_content = mailing is not None and scheduling.has_happened(mailing)
        self.unread = set(unread)

    @cached_property
    def errors(self) -> dict[str, MailingError]:
        """The errors by field; locks the chosen message against deletion until the transaction ends."""
        skipped = self.unread | (set(CONTENT_FIELDS) if self.keeps_content else set())
        results = ((name, check(self)) for name, check in CHECKS.items() if name not in skipped)
        errors = {name: error for name, error in results if error is not None}
        if "variants" not in skipped:
            test_errors = check_test(self.owner, self.values)
            errors |= {name: error for name, error in test_errors.items() if name not in skipped}
        return errors

    @cached_property
    def selected(self) -> int:
        """The number of selected clients; counted once, because there may be a million."""
        return count_selected(self.owner, self.values.clients)

    @cached_property
    def parts(self) -> AudienceParts:
        """The segments and tags to include and exclude; raises MailingError for unknown ones."""
        values = self.values
        include = values.include if values.audience is Audience.SEGMENTS else ()
        exclude = values.exclude if values.audience is not Audience.SELECTED else ()
        known = self._known_parts
        return AudienceParts(choose_parts(known, include), choose_parts(known, exclude))

    @cached_property
    def _known_parts(self) -> dict[str, Part]:
        """The segments and tags that exist, by name; loaded together, to lock them in one order."""
        names = (*self.values.include[:MAX_PARTS], *self.values.exclude[:MAX_PARTS])
        return find_parts(self.owner.id, names)

    @cached_property
    def conditions(self) -> Conditions:
        """The conditions of the audience and the topic; empty if the audience cannot be evaluated."""
        topic = find_topic(self.owner.id, self.values.topic_id)
        if topic is None:
            return self._audience_conditions
        return tuple(condition & topic_condition(topic) for condition in self._audience_conditions)

    @cached_property
    def _audience_conditions(self) -> Conditions:
        if self.values.selection is not None:
            return tuple(self.values.selection.conditions())
        try:
            return (compile_parts(self.parts, self.values.audience, self.owner, self.now),)
        except (MailingError, BrokenAudience, EmptyAudience):
            return ()

    def check_include(self) -> MailingError | None:
        if self.values.audience is not Audience.SEGMENTS:
            return None
        return self._check_parts(self.values.include, is_excluded=False)

    def check_exclude(self) -> MailingError | None:
        if self.values.audience is Audience.SELECTED:
            return None
        return self._check_parts(self.values.exclude, is_excluded=True)

    def _check_parts(self, names: Sequence[str], *, is_excluded: bool) -> MailingError | None:
        try:
            parts = choose_parts(self._known_parts, names)
            if not is_excluded:
                compile_parts(AudienceParts(parts), Audience.SEGMENTS, self.owner, self.now)
            elif parts:
                compile_parts(AudienceParts((), parts), Audience.ALL, self.owner, self.now)
        except MailingError as error:
            return error
        except (BrokenAudience, EmptyAudience) as error:
            return MailingError(error.code, **error.values)
        return None

    def check_name(self) -> MailingError | None:
        if not self.values.name.strip():
            return MailingError("mailing_name_missing")
        return check_line(self.values.name.strip(), NAME_MAX_LENGTH)

    def check_sender_id(self) -> MailingError | None:
        """Treat another owner's sender as one that does not exist."""
        if self.values.sender_id is None:
            return None
        condition = (Sender.id == self.values.sender_id) & (Sender.owner_id == self.owner.id)
        sender = db.session.scalar(select(Sender).where(condition).with_for_update(read=True, key_share=True))
        if sender is None:
            return MailingError("mailing_sender_unknown")
        problem = find_problem(sender)
        return MailingError(SENDER_PROBLEMS[problem]) if problem else None

    def check_sender_name(self) -> MailingError | None:
        return check_line(self.values.sender_name.strip(), SENDER_NAME_MAX_LENGTH)

    def check_topic_id(self) -> MailingError | None:
        """Treat another owner's topic as one that does not exist."""
        topic_id = self.values.topic_id
        is_known = topic_id is None or find_topic(self.owner.id, topic_id, keep=True) is not None
        return None if is_known else MailingError("mailing_topic_unknown")

    def check_message(self) -> MailingError | None:
        """Treat another owner's message as one that does not exist."""
        if not self.values.message_id:
            return MailingError("mailing_message_missing")
        condition = (Message.id == self.values.message_id) & (Message.owner_id == self.owner.id)
        locked = select(Message.id).where(condition).with_for_update(read=True, key_share=True)
        if db.session.scalar(locked) is None:
            return MailingError("mailing_message_unknown")
        try:
            message = db.session.get_one(Message, self.values.message_id)
            # A layout may have been changed since the message was saved.
            content = read_current(db.session, message) if message.layout_id else Content.of(message)
            check_flags(self.owner, content)
        except TemplateError:
            return MailingError("mailing_message_condition")
        return None

    def check_clients(self) -> MailingError | None:
        selection = self.values.selection
        if selection is None:
            return None
        by_id = Selection(selection.ranges)
        owned = self.selected if selection.is_by_id else count_selected(self.owner, by_id)
        if owned != by_id.count_ids():
            return MailingError("mailing_clients_unknown")
        return None if self.selected else MailingError("mailing_clients_missing")

    def check_starts_at(self) -> MailingError | None:
        starts_at = self.values.starts_at
        if error := check_year(starts_at):
            return error
        is_past = starts_at is not None and starts_at < self.now - PAST_TOLERANCE
        return MailingError("mailing_start_past") if is_past and not self._has_started() else None

    def _has_started(self) -> bool:
        """Return whether the saved start has passed; a recurring mailing counts occurrences from it."""
        mailing = self.mailing
        return (
            mailing is not None and mailing.state is not MailingState.DRAFT and mailing.starts_at <= self.now
        )

    def check_is_local_time(self) -> MailingError | None:
        """Refuse A/B tests: a winner could not be chosen before clients in the east get their letters."""
        is_test = self.values.is_local_time and bool(self.values.variants)
        return MailingError("mailing_local_time_test") if is_test else None

    def check_ends_at(self) -> MailingError | None:
        ends_at = self.values.ends_at
        if ends_at is None:
            return MailingError("mailing_end_missing")
        if error := check_year(ends_at):
            return error
        if self.mailing is not None and ends_at <= self.now and scheduling.has_open_run(self.mailing):
            return MailingError("mailing_end_stops_run")
        if self.keeps_content and self.mailing is not None:
            start: datetime | None = self.mailing.starts_at
        elif "starts_at" in self.unread:
            return None
        else:
            start = self.values.starts_at
        if ends_at > (start or self.now):
            return None
        return MailingError("mailing_end_before_start" if start else "mailing_end_past")

    def check_weekdays(self) -> MailingError | None:
        is_known = set(self.values.weekdays) <= set(EVERY_DAY)
        return None if is_known else MailingError("mailing_weekdays_unknown")

    def check_repeat_every(self) -> MailingError | None:
        is_custom = self.values.periodicity is Periodicity.CUSTOM
        if not is_custom or 1 <= self.values.repeat_every <= MAX_EVERY:
            return None
        return MailingError("mailing_repeat_every", limit=MAX_EVERY)

    def check_repeat_weekdays(self) -> MailingError | None:
        is_known = set(self.values.repeat_weekdays) <= set(EVERY_DAY)
        return None if is_known else MailingError("mailing_weekdays_unknown")

    def check_opens_at(self) -> MailingError | None:
        return self._check_both_hours("opens_at", "closes_at")

    def check_closes_at(self) -> MailingError | None:
        if error := self._check_both_hours("closes_at", "opens_at"):
            return error
        closes_at = self.values.closes_at
        is_empty = closes_at is not None and closes_at == self.values.opens_at
        return MailingError("mailing_hours_empty") if is_empty else None

    def _check_both_hours(self, given: str, other: str) -> MailingError | None:
        is_half_set = getattr(self.values, given) is not None and getattr(self.values, other) is None
        return MailingError("mailing_hours_incomplete") if is_half_set and other not in self.unread else None


CHECKS: dict[str, Callable[[MailingValidation], MailingError | None]] = {
    "name": MailingValidation.check_name,
    "message_id": MailingValidation.check_message,
    "sender_id": MailingValidation.check_sender_id,
    "sender_name": MailingValidation.check_sender_name,
    "topic_id": MailingValidation.check_topic_id,
    "include": MailingValidation.check_include,
    "exclude": MailingValidation.check_exclude,
    "clients": MailingValidation.check_clients,
    "starts_at": MailingValidation.check_starts_at,
    "is_local_time": MailingValidation.check_is_local_time,
    "ends_at": MailingValidation.check_ends_at,
    "repeat_every": MailingValidation.check_repeat_every,
    "repeat_weekdays": MailingValidation.check_repeat_weekdays,
    "weekdays": MailingValidation.check_weekdays,
    "opens_at": MailingValidation.check_opens_at,
    "closes_at": MailingValidation.check_closes_at,
}


def check_year(moment: datetime | None) -> MailingError | None:
    """Check that the year is within the range that databases and time zones support."""
    if moment is None or FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None
    return MailingError("mailing_year_out_of_range")
