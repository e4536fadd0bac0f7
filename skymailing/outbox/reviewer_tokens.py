"""Sign the links with which people agree to get test letters, and with which they can stop them later."""

from skymailing.models import Reviewer
from skymailing.tokens import VERIFY_LIFETIME, BadToken, find_object, make_stamp, make_token, read_token

CONFIRM_REVIEWER = "confirm-reviewer"


def make_reviewer_token(reviewer: Reviewer) -> str:
    """Return a token for the reviewer's address."""
    return make_token(CONFIRM_REVIEWER, {"reviewer": reviewer.id, "stamp": _stamp(reviewer)})


def read_reviewer_token(token: str) -> Reviewer:
    """Return the reviewer to whom the token belongs. Raises BadToken.

    It can confirm the address for a day. After that, it never expires, so that the reviewer can always stop
    the letters.
    """
    payload = read_token(CONFIRM_REVIEWER, token, None)
    reviewer = find_object(Reviewer, payload.get("reviewer"))
    if reviewer is None or not reviewer.owner.is_active or payload.get("stamp") != _stamp(reviewer):
        raise BadToken
    if reviewer.confirmed_at is None:
        read_token(CONFIRM_REVIEWER, token, VERIFY_LIFETIME)
    return reviewer


def _stamp(reviewer: Reviewer) -> str:
    # It contains the owner and the address, because IDs may be reused after a restore.
    return make_stamp(reviewer.owner_id, reviewer.address_key)
