"""Let an owner choose the winner of a test."""

from datetime import datetime

from skymailing.delivery.variants.decision import set_winner
from skymailing.extensions import db
from skymailing.mailings.errors import MailingError
from skymailing.mailings.services import lock_mailing, require_enabled
from skymailing.mailings.variants import letter_of
from skymailing.models import TESTED_STATES, Decision, MailingState, Run, RunVariant


def choose_winner(run: Run, number: int, now: datetime) -> None:
    """Send a variant to the clients outside the sample, before or instead of a decision by clicks.

    The choice is final. Raises MailingError if the winner is chosen already or the mailing is over.
    """
    mailing = run.mailing
    lock_mailing(mailing)
    require_enabled(mailing)
    db.session.refresh(run)
    if run.winner is not None:
        raise MailingError("mailing_winner_chosen", variant=letter_of(run.winner))
    is_over = run.state not in TESTED_STATES or mailing.state is MailingState.CANCELLED
    if is_over or now >= mailing.ends_at:
        raise MailingError("mailing_test_over")
    if db.session.get(RunVariant, (run.id, number)) is None:
        raise MailingError("mailing_variant_unknown")
    set_winner(mailing, run, number, Decision.OWNER, now)
