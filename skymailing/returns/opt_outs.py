"""Recognize requests to unsubscribe, which mail programs send to the `mailto:` of List-Unsubscribe."""

import re

from skymailing.returns.letter import OpenedLetter, read_subject
from skymailing.returns.reports import Kind, Quoted, Report
from skymailing.web.urls import UNSUBSCRIBE_PREFIX

# The subject set by our header: the word and the token of the client's link. Clients may reply or forward it.
SUBJECT = re.compile(r"\s*(?:(?:re|fwd?|aw|отв):\s*)?unsubscribe[\s+]+([\w.-]{20,1000})\s*", re.IGNORECASE)
MAX_SUBJECT = 1200


def read_opt_out(letter: OpenedLetter) -> list[Report]:
    """Return the request to unsubscribe, as if it quoted the link with its token."""
    found = SUBJECT.fullmatch(read_subject(letter.headers, MAX_SUBJECT))
    if found is None:
        return []
    return [Report(Kind.UNSUBSCRIBE, quoted=Quoted(list_unsubscribe=f"<{UNSUBSCRIBE_PREFIX}/{found[1]}>"))]
