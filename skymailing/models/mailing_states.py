"""The kinds and states of mailings, the reasons for these states, and the states of runs."""

from enum import StrEnum

from skymailing.models.types import Transitions


class MailingKind(StrEnum):
    MAILING = "mailing"
    # Holds an owner's transactional letters; pages do not show it as a mailing.
    TRANSACTIONAL = "transactional"
    # A mailing added with a test key: its letters are caught instead of sent.
    CAUGHT = "caught"
    # Holds an owner's transactional letters that were added with test keys.
    CAUGHT_LETTERS = "caught-letters"
    # Holds the letters of one step of a sequence; pages do not show it as a mailing, either.
    SEQUENCE = "sequence"


LETTER_KINDS = (MailingKind.TRANSACTIONAL, MailingKind.CAUGHT_LETTERS)
CAUGHT_KINDS = (MailingKind.CAUGHT, MailingKind.CAUGHT_LETTERS)
# Kinds with a run for each day, to which letters are added until the day is over.
DAILY_KINDS = (*LETTER_KINDS, MailingKind.SEQUENCE)
# Replaces the owner's ID in logs and counts of caught letters, so that they appear in no owner's reports.
NO_OWNER = 0


class MailingState(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


MAILING_TRANSITIONS = Transitions(
    "mailing",
    {
        MailingState.DRAFT: {
            MailingState.SCHEDULED,
            MailingState.RUNNING,  # a mailing added with a test key starts at once
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        MailingState.SCHEDULED: {
            MailingState.DRAFT,
            MailingState.RUNNING,
            MailingState.PAUSED,
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        MailingState.RUNNING: {
            MailingState.SCHEDULED,
            MailingState.PAUSED,
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        MailingState.PAUSED: {
            MailingState.SCHEDULED,
            MailingState.RUNNING,
            MailingState.FINISHED,
            MailingState.CANCELLED,
        },
        # Resending failed letters reopens the last run; a later end resumes a recurring mailing.
        MailingState.FINISHED: {MailingState.RUNNING, MailingState.SCHEDULED},
        MailingState.CANCELLED: set(),
    },
)


class StateReason(StrEnum):
    """The reason for a mailing's state, if it is not obvious; stored with ": " and a detail in some cases."""

    WINDOW_OVER = "window-over"
    NO_CLIENTS = "no-clients"
    TOO_LATE = "too-late"
    REFUSED = "refused"  # the mail server refuses the sender for every recipient
    REJECTED = "rejected"  # consecutive letters were rejected for the same reason
    # With their files, the letters are larger than the mail server accepts; the detail is "<size>/<limit>" in
    # bytes.
    TOO_LARGE = "too-large"
    RENDER_FAILED = "not-writable"  # the letters cannot be rendered
    AUDIENCE_BROKEN = "audience-broken"  # a segment or tag of the audience cannot be evaluated
    SENDER_UNUSABLE = "sender-unusable"  # the sender's address is not confirmed; the detail is the address
    # Too many of the owner's last letters bounced or were reported as spam; the detail is "<number>/<total>".
    TOO_MANY_BOUNCES = "too-many-bounces"
    TOO_MANY_COMPLAINTS = "too-many-complaints"
    SERVER_UNUSABLE = "server-unusable"  # the sender's mail server failed its test; the detail is the server
    SERVER_DELETED = "server-deleted"  # the run was planned with this mail server
    RESTORED = "restored"  # the database was restored; the detail is when the backup was made
    ACCOUNT_DELETION = "owner-leaves"


class RunState(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    # The following states, up to LOCAL, also mean "planned or sending". They are separate, because workers of
    # older versions, which would handle such runs wrongly, do not touch runs in states that they do not know.
    ROUTED = "routed"  # older versions would not use the sender's own mail server
    TESTED = "tested"  # older versions would send everyone the same variant
    ATTACHED = "attached"  # older versions would omit the files; the run may have variants, too
    TRANSACTIONAL = "transactional"  # older versions would cancel letters without a client
    ATTACHED_LETTERS = "attached-letters"  # transactional letters with files, which older versions would omit
    CAUGHT = "caught"  # older versions would send the letters instead of catching them
    CAUGHT_LETTERS = "caught-letters"  # the same for transactional letters
    SEQUENCE = "sequence"  # older versions would finish the run before the day is over
    # Older versions would send all letters at once. The run may also have files or its sender's mail server.
    LOCAL = "local"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    # The run could not start on time, and its mailing skips late starts; it has no deliveries.
    SKIPPED = "skipped"


# A mailing has at most one run in these states, except that DAILY_KINDS may have several.
OPEN_RUN_STATES = (
    RunState.PLANNED,
    RunState.SENDING,
    RunState.ROUTED,
    RunState.TESTED,
    RunState.ATTACHED,
    RunState.TRANSACTIONAL,
    RunState.ATTACHED_LETTERS,
    RunState.CAUGHT,
    RunState.CAUGHT_LETTERS,
    RunState.SEQUENCE,
    RunState.LOCAL,
)
# The states of runs with transactional letters, and of all runs to which letters are added during their day.
LETTER_RUN_STATES = (RunState.TRANSACTIONAL, RunState.ATTACHED_LETTERS, RunState.CAUGHT_LETTERS)
DAILY_RUN_STATES = (*LETTER_RUN_STATES, RunState.SEQUENCE)
# The states of open runs that may have an A/B test.
TESTED_STATES = (RunState.TESTED, RunState.ATTACHED)

RUN_TRANSITIONS = Transitions(
    "run",
    {
        RunState.PLANNED: {RunState.SENDING, RunState.FINISHED, RunState.CANCELLED},
        RunState.SENDING: {RunState.FINISHED, RunState.CANCELLED},
        RunState.ROUTED: {RunState.FINISHED, RunState.CANCELLED},
        RunState.TESTED: {RunState.FINISHED, RunState.CANCELLED},
        RunState.ATTACHED: {RunState.FINISHED, RunState.CANCELLED},
        RunState.TRANSACTIONAL: {RunState.FINISHED, RunState.CANCELLED},
        RunState.ATTACHED_LETTERS: {RunState.FINISHED, RunState.CANCELLED},
        RunState.CAUGHT: {RunState.FINISHED, RunState.CANCELLED},
        RunState.CAUGHT_LETTERS: {RunState.FINISHED, RunState.CANCELLED},
        RunState.SEQUENCE: {RunState.FINISHED, RunState.CANCELLED},
        RunState.LOCAL: {RunState.FINISHED, RunState.CANCELLED},
        RunState.FINISHED: {
            RunState.SENDING,
            RunState.ROUTED,
            RunState.TESTED,
            RunState.ATTACHED,
            RunState.TRANSACTIONAL,
            RunState.ATTACHED_LETTERS,
            RunState.SEQUENCE,
            RunState.LOCAL,
        },
        RunState.CANCELLED: set(),
        RunState.SKIPPED: set(),
    },
)
