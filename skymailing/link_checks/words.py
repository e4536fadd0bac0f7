"""Describe in words how a site responded."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from skymailing.models.link_check import LinkOutcome

# The text, and the tone of its label.
OUTCOME_WORDS: dict[str, tuple[LazyString, str]] = {
    LinkOutcome.OK: (_l("opens"), "good"),
    LinkOutcome.MOVED: (_l("has moved"), "waiting"),
    LinkOutcome.NOT_FOUND: (_l("page not found"), "bad"),
    LinkOutcome.REFUSED: (_l("not checked: the site blocks automatic requests"), "quiet"),
    LinkOutcome.SERVER_ERROR: (_l("the site reports an error"), "bad"),
    LinkOutcome.NO_ANSWER: (_l("the site does not respond"), "bad"),
    LinkOutcome.NOT_ALLOWED: (_l("not a public address"), "bad"),
    LinkOutcome.NOT_CHECKED: (_l("not checked: there was no time left"), "quiet"),
}


def describe_link(link: dict[str, Any]) -> tuple[LazyString, str]:
    """Return the result of a link in words, and its tone."""
    return OUTCOME_WORDS.get(link.get("outcome", ""), OUTCOME_WORDS[LinkOutcome.NOT_CHECKED])
