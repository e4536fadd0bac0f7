"""The kinds of events in a client's timeline, and the filters by which pages show some of them."""

from enum import StrEnum

# Links of one letter at most; a click's `ref` is made of the letter's ID and the number of the link.
LINKS_PER_LETTER = 10_000


class EventKind(StrEnum):
    """The source of an event. Its `ref` is the ID of its row, unless a comment states otherwise.

    Events at the same time are ordered by the names of their kinds.
    """

    ADDED = "added"
    BOUNCE = "bounce"
    CLICK = "click"  # a letter and a link in it, as in `LINKS_PER_LETTER`
    CONSENT = "consent"
    ENTERED = "entered"  # a sequence
    LETTER = "letter"
    LEFT = "letters-end"  # a sequence, or completed it at the time of its last letter
    MERGED = "merged"
    NOTE = "note"
    OPEN = "open"  # a letter
    OPT_OUT = "opt-out"
    OPT_OUT_UNDONE = "opt-out-undone"
    PURCHASE = "purchase"
    SUPPRESSED = "suppressed"
    TOPIC = "topic"
    TRANSACTIONAL = "transactional"  # a letter


class Filter(StrEnum):
    """A part of the timeline."""

    EMAILS = "emails"
    CLICKS = "clicks"
    PURCHASES = "purchases"
    SUBSCRIPTION = "subscription"
    NOTES = "notes"


FILTERED_KINDS = {
    Filter.EMAILS: (
        EventKind.LETTER,
        EventKind.TRANSACTIONAL,
        EventKind.BOUNCE,
        EventKind.ENTERED,
        EventKind.LEFT,
    ),
    Filter.CLICKS: (EventKind.CLICK, EventKind.OPEN),
    Filter.PURCHASES: (EventKind.PURCHASE,),
    Filter.SUBSCRIPTION: (
        EventKind.ADDED,
        EventKind.CONSENT,
        EventKind.MERGED,
        EventKind.OPT_OUT,
        EventKind.OPT_OUT_UNDONE,
        EventKind.SUPPRESSED,
        EventKind.TOPIC,
    ),
    Filter.NOTES: (EventKind.NOTE,),
}
