"""Why a mailing is in its state, in words; the engine stores codes, as it knows no reader's language."""

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
        case StateReason.OWNER_LEAVES:
            return str(_("It was paused when the deletion of the account was asked for."))
        case _:
            return mailing.state_reason
