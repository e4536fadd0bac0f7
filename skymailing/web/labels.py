"""Define the label and the tone of every state, the same on all pages."""

from enum import StrEnum

from flask_babel import LazyString, lazy_gettext, lazy_pgettext

from skymailing.models import (
    OPEN_RUN_STATES,
    Audience,
    AuditAction,
    AuditKind,
    BounceKind,
    BulkState,
    CallState,
    ConsentKind,
    DeliveryState,
    EnrolmentState,
    ImportState,
    Limited,
    MailingState,
    MessageFormat,
    OnLate,
    OnPassed,
    OnUnknown,
    OpenTracking,
    OptOutReason,
    Outcome,
    Periodicity,
    RecordState,
    RepeatUnit,
    Role,
    RunState,
    SequenceState,
    SuppressionReason,
)
from skymailing.web.audit_labels import ACTION_LABELS, KIND_LABELS

# Each tone is a colour in site.css: quiet (nothing happens), planned, active, waiting, good, bad,
# doubt (the outcome is unknown) and gone (ended without a result).

# The key includes the enum: members of different StrEnums with the same text are equal.
_STATES: dict[tuple[type[StrEnum], str], tuple[LazyString, str]] = {}


def _register(enum: type[StrEnum], labels: dict[StrEnum, tuple[LazyString, str]]) -> None:
    for member, (label, tone) in labels.items():
        _STATES[enum, member.value] = (label, tone)


_register(
    MailingState,
    {
        MailingState.DRAFT: (lazy_pgettext("mailing", "draft"), "quiet"),
        MailingState.SCHEDULED: (lazy_pgettext("mailing", "scheduled"), "planned"),
        MailingState.RUNNING: (lazy_pgettext("mailing", "running"), "active"),
        MailingState.PAUSED: (lazy_pgettext("mailing", "paused"), "waiting"),
        MailingState.FINISHED: (lazy_pgettext("mailing", "finished"), "good"),
        MailingState.CANCELLED: (lazy_pgettext("mailing", "cancelled"), "gone"),
    },
)
_register(
    RunState,
    {
        **dict.fromkeys(OPEN_RUN_STATES, (lazy_pgettext("run", "sending"), "active")),
        RunState.PLANNED: (lazy_pgettext("run", "planned"), "planned"),
        RunState.FINISHED: (lazy_pgettext("run", "finished"), "good"),
        RunState.CANCELLED: (lazy_pgettext("run", "cancelled"), "gone"),
        RunState.SKIPPED: (lazy_pgettext("run", "skipped"), "gone"),
    },
)
_register(
    DeliveryState,
    {
        DeliveryState.PENDING: (lazy_pgettext("delivery", "waiting"), "quiet"),
        DeliveryState.SENDING: (lazy_pgettext("delivery", "sending"), "active"),
        DeliveryState.DEFERRED: (lazy_pgettext("delivery", "deferred"), "waiting"),
        DeliveryState.SENT: (lazy_pgettext("delivery", "delivered"), "good"),
        DeliveryState.FAILED: (lazy_pgettext("delivery", "not delivered"), "bad"),
        DeliveryState.UNKNOWN: (lazy_pgettext("delivery", "unclear"), "doubt"),
        DeliveryState.SUPPRESSED: (lazy_pgettext("delivery", "excluded"), "gone"),
        DeliveryState.EXPIRED: (lazy_pgettext("delivery", "expired"), "gone"),
        DeliveryState.CANCELLED: (lazy_pgettext("delivery", "cancelled"), "gone"),
    },
)
_register(
    Outcome,
    {
        Outcome.SENT: (lazy_pgettext("delivery", "delivered"), "good"),
        Outcome.DEFERRED: (lazy_pgettext("delivery", "deferred"), "waiting"),
        Outcome.FAILED: (lazy_pgettext("delivery", "not delivered"), "bad"),
        Outcome.UNKNOWN: (lazy_pgettext("delivery", "unclear"), "doubt"),
    },
)
_register(
    ImportState,
    {
        ImportState.PENDING: (lazy_pgettext("import", "waiting"), "quiet"),
        ImportState.RUNNING: (lazy_pgettext("import", "running"), "active"),
        ImportState.FINISHED: (lazy_pgettext("import", "finished"), "good"),
        ImportState.FAILED: (lazy_pgettext("import", "failed"), "bad"),
    },
)
_register(
    BulkState,
    {
        BulkState.PENDING: (lazy_pgettext("bulk", "waiting"), "quiet"),
        BulkState.RUNNING: (lazy_pgettext("bulk", "running"), "active"),
        BulkState.FINISHED: (lazy_pgettext("bulk", "finished"), "good"),
        BulkState.STOPPED: (lazy_pgettext("bulk", "stopped"), "gone"),
        BulkState.FAILED: (lazy_pgettext("bulk", "failed"), "bad"),
        BulkState.UNDOING: (lazy_pgettext("bulk", "undoing"), "active"),
        BulkState.UNDONE: (lazy_pgettext("bulk", "undone"), "gone"),
    },
)
_register(
    CallState,
    {
        CallState.PENDING: (lazy_pgettext("webhook", "waiting"), "waiting"),
        CallState.DELIVERED: (lazy_pgettext("webhook", "accepted"), "good"),
        CallState.FAILED: (lazy_pgettext("webhook", "given up"), "bad"),
    },
)
_register(
    SuppressionReason,
    {
        SuppressionReason.UNSUBSCRIBED: (lazy_pgettext("client", "unsubscribed"), "gone"),
        SuppressionReason.BOUNCED: (lazy_pgettext("client", "address refused"), "bad"),
        SuppressionReason.COMPLAINED: (lazy_pgettext("client", "marked as spam"), "bad"),
        SuppressionReason.MANUAL: (lazy_pgettext("client", "excluded manually"), "gone"),
    },
)
_register(
    OptOutReason,
    {
        OptOutReason.TOO_MANY: (lazy_pgettext("opt-out", "Too many emails"), "quiet"),
        OptOutReason.NOT_INTERESTING: (lazy_pgettext("opt-out", "Not interesting to me"), "quiet"),
        OptOutReason.NEVER_ASKED: (lazy_pgettext("opt-out", "I did not sign up"), "quiet"),
        OptOutReason.OTHER: (lazy_pgettext("opt-out", "Another reason"), "quiet"),
    },
)
_register(
    BounceKind,
    {
        BounceKind.HARD: (lazy_gettext("address does not exist"), "bad"),
        BounceKind.SOFT: (lazy_gettext("temporary problem"), "waiting"),
        BounceKind.POLICY: (lazy_gettext("email refused"), "doubt"),
        BounceKind.COMPLAINT: (lazy_pgettext("client", "marked as spam"), "bad"),
    },
)
_register(
    Periodicity,
    {
        Periodicity.ONCE: (lazy_pgettext("periodicity", "once"), "quiet"),
        Periodicity.DAILY: (lazy_pgettext("periodicity", "daily"), "quiet"),
        Periodicity.WEEKLY: (lazy_pgettext("periodicity", "weekly"), "quiet"),
        Periodicity.MONTHLY: (lazy_pgettext("periodicity", "monthly"), "quiet"),
        Periodicity.YEARLY: (lazy_pgettext("periodicity", "yearly"), "quiet"),
        Periodicity.CUSTOM: (lazy_pgettext("periodicity", "every few days, weeks or months"), "quiet"),
    },
)
_register(
    RepeatUnit,
    {
        RepeatUnit.DAY: (lazy_pgettext("recurrence", "days"), "quiet"),
        RepeatUnit.WEEK: (lazy_pgettext("recurrence", "weeks"), "quiet"),
        RepeatUnit.MONTH: (lazy_pgettext("recurrence", "months"), "quiet"),
        RepeatUnit.YEAR: (lazy_pgettext("recurrence", "years"), "quiet"),
    },
)
_register(
    Audience,
    {
        Audience.ALL: (lazy_pgettext("audience", "all clients"), "quiet"),
        Audience.ALL_EXCEPT: (lazy_pgettext("audience", "all clients"), "quiet"),
        Audience.SEGMENTS: (lazy_pgettext("audience", "segments and tags"), "quiet"),
        Audience.SELECTED: (lazy_pgettext("audience", "selected clients"), "quiet"),
    },
)
_register(
    OnUnknown,
    {
        OnUnknown.RESEND: (lazy_pgettext("policy", "send again after 30 minutes"), "quiet"),
        OnUnknown.HOLD: (lazy_pgettext("policy", "let me decide"), "quiet"),
    },
)
_register(
    OpenTracking,
    {
        OpenTracking.OFF: (lazy_pgettext("opens", "do not record"), "quiet"),
        OpenTracking.DAY: (lazy_pgettext("opens", "record the day of the last open"), "quiet"),
        OpenTracking.PERSON: (lazy_pgettext("opens", "count opens by people who have agreed"), "quiet"),
    },
)
_register(
    OnLate,
    {
        OnLate.SEND: (lazy_pgettext("policy", "send late, but before the end"), "quiet"),
        OnLate.SKIP: (lazy_pgettext("policy", "skip this send"), "quiet"),
    },
)
_register(
    OnPassed,
    {
        OnPassed.SEND: (lazy_pgettext("policy", "send at once"), "quiet"),
        OnPassed.NEXT_DAY: (lazy_pgettext("policy", "send the next day at this time"), "quiet"),
    },
)
_register(
    MessageFormat,
    {
        MessageFormat.MARKDOWN: (lazy_pgettext("format", "Markdown"), "quiet"),
        MessageFormat.HTML: (lazy_pgettext("format", "HTML"), "quiet"),
        MessageFormat.TEXT: (lazy_pgettext("format", "plain text"), "quiet"),
    },
)
_register(
    Role,
    {
        Role.USER: (lazy_pgettext("role", "user"), "quiet"),
        Role.MANAGER: (lazy_pgettext("role", "manager"), "planned"),
        Role.CONTENT: (lazy_pgettext("role", "content manager"), "planned"),
        Role.ADMIN: (lazy_pgettext("role", "administrator"), "active"),
    },
)
_register(AuditAction, ACTION_LABELS)
_register(
    RecordState,
    {
        RecordState.FOUND: (lazy_pgettext("record", "found"), "good"),
        RecordState.MISSING: (lazy_pgettext("record", "not found"), "waiting"),
        RecordState.WRONG: (lazy_pgettext("record", "different"), "bad"),
        RecordState.UNKNOWN: (lazy_pgettext("record", "not checked"), "quiet"),
    },
)
_register(AuditKind, KIND_LABELS)
_register(
    ConsentKind,
    {
        ConsentKind.ASKED: (lazy_pgettext("consent", "filled in a form"), "quiet"),
        ConsentKind.CONFIRMED: (lazy_pgettext("consent", "confirmed by email"), "good"),
        ConsentKind.IMPORTED: (lazy_pgettext("consent", "imported"), "quiet"),
        ConsentKind.CHANGED: (lazy_pgettext("consent", "address changed"), "quiet"),
        ConsentKind.WITHDRAWN: (lazy_pgettext("consent", "unsubscribed"), "gone"),
        ConsentKind.RESUMED: (lazy_pgettext("consent", "subscribed again"), "good"),
        ConsentKind.OBJECTED: (lazy_pgettext("consent", "reported spam"), "bad"),
    },
)
_register(
    SequenceState,
    {
        SequenceState.DRAFT: (lazy_pgettext("sequence", "draft"), "quiet"),
        SequenceState.ACTIVE: (lazy_pgettext("sequence", "running"), "active"),
        SequenceState.PAUSED: (lazy_pgettext("sequence", "paused"), "waiting"),
        SequenceState.ARCHIVED: (lazy_pgettext("sequence", "archived"), "gone"),
    },
)
_register(
    EnrolmentState,
    {
        EnrolmentState.ACTIVE: (lazy_pgettext("enrolment", "in progress"), "active"),
        EnrolmentState.PAUSED: (lazy_pgettext("enrolment", "paused"), "waiting"),
        EnrolmentState.DONE: (lazy_pgettext("enrolment", "completed"), "good"),
        EnrolmentState.LEFT: (lazy_pgettext("enrolment", "left"), "gone"),
    },
)
_register(
    Limited,
    {
        Limited.LETTERS_PER_HOUR: (lazy_gettext("Emails this hour"), "quiet"),
        Limited.LETTERS_PER_DAY: (lazy_gettext("Emails in the last 24 hours"), "quiet"),
        Limited.CLIENTS: (lazy_gettext("Clients"), "quiet"),
        Limited.MESSAGES: (lazy_gettext("Messages"), "quiet"),
        Limited.MAILINGS: (lazy_gettext("Mailings"), "quiet"),
        Limited.SEGMENTS: (lazy_gettext("Segments"), "quiet"),
        Limited.SEQUENCES: (lazy_gettext("Sequences"), "quiet"),
        Limited.FORMS: (lazy_gettext("Sign-up forms"), "quiet"),
        Limited.TOPICS: (lazy_gettext("Topics"), "quiet"),
        Limited.SENDERS: (lazy_gettext("Senders"), "quiet"),
        Limited.DOMAINS: (lazy_gettext("Domains"), "quiet"),
        Limited.SERVERS: (lazy_gettext("Mail servers"), "quiet"),
        Limited.WEBHOOKS: (lazy_gettext("Webhooks"), "quiet"),
        Limited.DRAFTS: (lazy_gettext("Drafts, including discarded ones"), "quiet"),
        Limited.PICTURES: (lazy_gettext("Images"), "quiet"),
        Limited.PICTURE_MEGABYTES: (lazy_gettext("Images, in MB"), "quiet"),
        Limited.FILE_MEGABYTES: (lazy_gettext("Files, in MB"), "quiet"),
        Limited.TEST_LETTERS_PER_HOUR: (lazy_gettext("Test emails this hour"), "quiet"),
        Limited.IMPORTS_PER_DAY: (lazy_gettext("Imports in the last 24 hours"), "quiet"),
    },
)


def state_label(state: StrEnum) -> LazyString:
    """Return the translated label of a state or of any other enum of the models."""
    return _STATES[type(state), state.value][0]


def state_tone(state: StrEnum) -> str:
    """Return the tone of a state; `state-<tone>` is its CSS class."""
    return _STATES[type(state), state.value][1]
