"""Why a mailing is in its state, in words; the engine stores codes, as it knows no reader's language."""

from datetime import datetime

from flask_babel import format_datetime
from flask_babel import gettext as _

from skymailing.models import Mailing, StateReason


def explain_state(mailing: Mailing) -> str:
    """Return the reason for the mailing's state as a sentence; empty when the state says it all."""
    code, _colon, detail = mailing.state_reason.partition(": ")
    match code:
        case StateReason.WINDOW_OVER:
            return str(_("Its window was over before it could start: nothing was sent."))
        case StateReason.NO_CLIENTS:
            return str(_("There was nobody to send it to: nothing was sent."))
        case StateReason.TOO_LATE:
            return str(_("Its last start was missed, and it is set not to send late: that one was skipped."))
        case StateReason.REFUSED:
            return str(
                _(
                    "The mail server refuses the sender, so the mailing paused itself: %(answer)s",
                    answer=detail,
                )
            )
        case StateReason.REJECTED:
            return str(
                _(
                    "The mail server rejects one letter after another with the same words, so the mailing "
                    "paused itself: %(answer)s",
                    answer=detail,
                )
            )
        case StateReason.NOT_WRITABLE:
            return str(
                _(
                    "No letters can be written from this message, so the mailing paused itself: %(problem)s",
                    problem=detail,
                )
            )
        case StateReason.RESTORED:
            moment = format_datetime(datetime.fromisoformat(detail), "d MMM y, HH:mm")
            return str(
                _(
                    "The service was restored from a backup of %(moment)s, so it is not known what was sent "
                    "after that. Nothing more leaves until you decide.",
                    moment=moment,
                )
            )
        case StateReason.OWNER_LEAVES:
            return str(_("It was paused when the deletion of the account was asked for."))
        case _:
            return mailing.state_reason
