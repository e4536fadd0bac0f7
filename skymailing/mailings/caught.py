"""Start and delete the mailings of test keys, whose letters are caught instead of sent."""

from datetime import datetime

from sqlalchemy import delete

from skymailing.db.time_limit import limit_time
from skymailing.delivery.audience.parts import lock_parts
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.delivery.plan import plan_caught_run
from skymailing.delivery.senders import find_problem
from skymailing.extensions import db
from skymailing.mailings.errors import SENDER_PROBLEMS, MailingError
from skymailing.mailings.run_queries import find_open_run
from skymailing.models import Client, Mailing, MailingState

MAX_CLIENTS = 1000  # of such a mailing; it is planned while the program waits
MAX_MAILINGS = 300  # of an owner; they are deleted after a few days


def start(mailing: Mailing, now: datetime) -> bool:
    """Plan the only run of a locked mailing at once; return False if it has been started before.

    Raises MailingError, and TookTooLong if the audience cannot be evaluated in time.
    """
    if mailing.state in (MailingState.RUNNING, MailingState.FINISHED):
        return False
    if mailing.state is not MailingState.DRAFT:
        raise MailingError("mailing_not_startable")
    if now >= mailing.ends_at:
        raise MailingError("mailing_window_over")
    if mailing.sender is not None and (problem := find_problem(mailing.sender)):
        raise MailingError(SENDER_PROBLEMS[problem])
    lock_parts(mailing)
    recipients = find_recipients(mailing, now)
    if recipients.problem is not None:
        raise MailingError(recipients.problem.code, **recipients.problem.values)
    some = recipients.clients.with_only_columns(Client.id).limit(MAX_CLIENTS + 1)
    with limit_time():  # the program waits, and on SQLite no one else can write
        count = len(db.session.scalars(some).all())
    if not count:
        raise MailingError("mailing_no_recipients")
    if count > MAX_CLIENTS:
        raise MailingError("mailing_caught_too_large", limit=MAX_CLIENTS)
    plan_caught_run(recipients, now)
    return True


def delete_caught(mailing: Mailing) -> None:
    """Delete a locked mailing with its letters; raises MailingError while workers catch them."""
    if find_open_run(mailing) is not None:
        raise MailingError("mailing_has_runs")
    db.session.execute(delete(Mailing).where(Mailing.id == mailing.id))
