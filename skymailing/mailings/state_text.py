"""Explain a mailing's state; the engine does not know the language, so it stores only reason codes."""

from datetime import datetime
from typing import Any

from flask_babel import format_datetime
from flask_babel import lazy_gettext as _l

from skymailing.models import Mailing, StateReason
from skymailing.web.file_sizes import file_size

STATE_TEXTS: dict[str, Any] = {
    StateReason.WINDOW_OVER: _l("The mailing ended before it could start, so nothing was sent."),
    StateReason.NO_CLIENTS: _l("There were no clients to send it to, so nothing was sent."),
    StateReason.TOO_LATE: _l("The last send was missed. This mailing skips missed sends."),
    StateReason.REFUSED: _l("The mail server refuses the sender, so the mailing was paused: %(detail)s"),
    StateReason.REJECTED: _l(
        "The mail server rejects every email with the same reply, so the mailing was paused: %(detail)s"
    ),
    StateReason.AUDIENCE_BROKEN: _l(
        "A segment of this mailing does not work, so nothing was sent. Edit the mailing or the "
        "segment, then resume the mailing."
    ),
    StateReason.SENDER_UNUSABLE: _l(
        "The sender address is not confirmed or cannot be used, so nothing was sent: %(detail)s. Confirm it "
        "or choose another sender, then resume the mailing."
    ),
    StateReason.SERVER_UNUSABLE: _l(
        "Your mail server %(detail)s does not work, so nothing was sent. Test its connection on the mail "
        "servers page, then resume the mailing."
    ),
    StateReason.SERVER_DELETED: _l(
        "The mail server of this send has been deleted, so the remaining emails cannot be sent."
    ),
    StateReason.TOO_LARGE: _l(
        "The attachments take up %(size)s, and the mail server accepts emails of up to %(limit)s, so nothing "
        "was sent. Remove some files from the message, or link to them."
    ),
    StateReason.RENDER_FAILED: _l("The message has an error, so the mailing was paused: %(detail)s"),
    StateReason.TOO_MANY_BOUNCES: _l(
        "Paused because %(count)s of your last %(letters)s emails went to addresses that do not exist. They "
        "will not be emailed again. Remove outdated addresses from your list, then resume the mailing."
    ),
    StateReason.TOO_MANY_COMPLAINTS: _l(
        "Paused because %(count)s of your last %(letters)s emails were marked as spam. These clients will "
        "not be emailed again. Keep only clients who agreed to get your emails, then resume the mailing."
    ),
    StateReason.RESTORED: _l(
        "The service was restored from a backup of %(detail)s. It is unknown which emails were sent after "
        "that, so nothing is sent until you decide."
    ),
    StateReason.ACCOUNT_DELETION: _l("Paused because the deletion of the account was requested."),
}


def explain_state(mailing: Mailing) -> str:
    """Return the reason for the mailing's state as a sentence; empty if the state needs none."""
    code, _colon, detail = mailing.state_reason.partition(": ")
    if code not in STATE_TEXTS:
        return mailing.state_reason
    if code == StateReason.RESTORED:
        detail = format_datetime(datetime.fromisoformat(detail), "d MMM y, HH:mm")
    count, _slash, letters = detail.partition("/")
    values = {"detail": detail, "count": count, "letters": letters}
    if code == StateReason.TOO_LARGE:
        values = {"size": file_size(int(count)), "limit": file_size(int(letters))}
    return str(STATE_TEXTS[code] % values)
