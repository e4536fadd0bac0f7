"""The kinds and states of mailings, the states of their runs, and the reasons for them."""

from enum import StrEnum

from skymailing.models.types import Transitions


class MailingKind(StrEnum):
    MAILING = "mailing"
    # Not a mailing that people see: it holds the letters that programs send to one person each.
    TRANSACTIONAL = "transactional"
    # Mailings and letters added with test keys, which are caught instead of sent.
    CAUGHT = "caught"
    CAUGHT_LETTERS = "caught-letters"
    # Not a mailing that people see, either: it holds the letters of one step of a sequence.
    SEQUENCE = "sequence"


LETTER_KINDS = (MailingKind.TRANSACTIONAL, MailingKind.CAUGHT_LETTERS)
CAUGHT_KINDS = (MailingKind.CAUGHT, MailingKind.CAUGHT_LETTERS)
# Those that have a run for each day, which gets more letters until the day is over.
DAILY_KINDS = (*LETTER_KINDS, MailingKind.SEQUENCE)
# Who is counted in logs and reports for what is caught: no one.
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
            MailingState.RUNNING,  # a mailing set up with a test key starts at once
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
        # Resending to failed addresses reopens the last run; extending the end resumes a recurring mailing.
        MailingState.FINISHED: {MailingState.RUNNING, MailingState.SCHEDULED},
        MailingState.CANCELLED: set(),
    },
)


class StateReason(StrEnum):
    """The reason why a mailing is in its state, if not obvious; a detail may follow after ": "."""

    WINDOW_OVER = "window-over"
    NO_CLIENTS = "no-clients"
    TOO_LATE = "too-late"
    REFUSED = "refused"  # the server refuses the sender, for every recipient
    REJECTED = "rejected"  # consecutive letters were rejected for the same reason
    # The files attached to the letters are larger than the mail server accepts; the detail is
    # "<bytes>/<largest>".
    TOO_LARGE = "too-large"
    RENDER_FAILED = "not-writable"  # the letters cannot be rendered
    AUDIENCE_BROKEN = "audience-broken"  # a segment or tag of the audience cannot be evaluated
    SENDER_UNUSABLE = "sender-unusable"  # its address is not confirmed; the detail is the address
    # Too many of the owner's last letters; the detail is "<how many>/<letters>".
    TOO_MANY_BOUNCES = "too-many-bounces"
    TOO_MANY_COMPLAINTS = "too-many-complaints"
    SERVER_UNUSABLE = "server-unusable"  # its sender's mail server failed its test; the detail is the server
    SERVER_DELETED = "server-deleted"  # the one with which its run was planned
    RESTORED = "restored"  # from a backup; the detail is when it was made
    ACCOUNT_DELETION = "owner-leaves"


class RunState(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"
    # Planned or sending through the mail server of its sender; a separate value, because older versions would
    # use the installation's server.
    ROUTED = "routed"
    # Planned or sending with variants; a separate value, because older versions would send everyone the same
    # letter.
    TESTED = "tested"
    # Planned or sending letters with files, with or without variants; a separate value, because older
    # versions would send the letters without their files.
    ATTACHED = "attached"
    # The transactional letters of a day; its own value, as older versions would cancel letters that have no
    # client.
    TRANSACTIONAL = "transactional"
    # Those of a day that have files; its own value, as older versions would send them without the files.
    ATTACHED_LETTERS = "attached-letters"
    # Of a test key: workers keep the letters instead of sending them. Separate values, because older versions
    # would send them.
    CAUGHT = "caught"
    CAUGHT_LETTERS = "caught-letters"  # transactional ones
    # The letters of a step of a sequence on one day; its own value, as older versions would finish the run
    # before the day is over.
    SEQUENCE = "sequence"
    # Planned or sending at each client's local time, with or without files or a mail server of its own; a
    # separate value, because older versions would send all letters at once.
    LOCAL = "local"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    # It could not start on time, and the mailing skips late starts; it has no deliveries.
    SKIPPED = "skipped"


# A mailing has at most one run in these states; one that has a run for each day may have several.
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
# Those of transactional letters, and all those that get more letters during their day.
LETTER_RUN_STATES = (RunState.TRANSACTIONAL, RunState.ATTACHED_LETTERS, RunState.CAUGHT_LETTERS)
DAILY_RUN_STATES = (*LETTER_RUN_STATES, RunState.SEQUENCE)
# The states of an open run that may have a test.
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
