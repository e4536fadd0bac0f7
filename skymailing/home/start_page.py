"""Read the data of the start page: the last mailing's result, the growth of the list, and the next step."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import exists, func, select

from skymailing.db.pagination import COUNT_LIMIT, BoundedCount, count_up_to
from skymailing.extensions import db
from skymailing.mailings.queries import Ledger, count_runs
from skymailing.mailings.results import Results, sum_up_run
from skymailing.models import (
    Client,
    Mailing,
    MailingKind,
    MailingState,
    Run,
    RunInterval,
    RunState,
    SendingDomain,
    Sequence,
    SignupForm,
)

NEWEST_MAILINGS = 50
GROWTH_DAYS = 30


class NextStep(StrEnum):
    """A suggestion for an owner who has sent mailings."""

    DRAFT = "draft"
    DOMAIN = "domain"
    FORM = "form"
    SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True)
class Growth:
    """The number of clients, and how many were added or unsubscribed recently."""

    clients: BoundedCount
    added: BoundedCount
    unsubscribed: int


@dataclass(frozen=True, slots=True)
class LastResult:
    """The result of the most recently finished run."""

    ledger: Ledger
    results: Results


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The next step; for a draft, its mailing."""

    step: NextStep
    draft: Mailing | None = None


def find_last_result(owner_id: int) -> LastResult | None:
    """Return the result of the most recently finished run of the newest mailings; None if there is none."""
    newest = select(Mailing.id).where(Mailing.owner_id == owner_id, Mailing.kind == MailingKind.MAILING)
    newest = newest.order_by(Mailing.id.desc()).limit(NEWEST_MAILINGS)
    ended = select(Run).where(Run.mailing_id.in_(newest.scalar_subquery()), Run.state == RunState.FINISHED)
    run = db.session.scalar(ended.order_by(Run.finished_at.desc(), Run.id.desc()).limit(1))
    if run is None:
        return None
    (ledger,) = count_runs([run])
    return LastResult(ledger, sum_up_run(ledger))


def measure_growth(owner_id: int, now: datetime) -> Growth:
    """Return how the owner's list has grown; large numbers are lower bounds."""
    since = now - timedelta(days=GROWTH_DAYS)
    own = select(Client).where(Client.owner_id == owner_id)
    newest = select(Client.created_at).where(Client.owner_id == owner_id).order_by(Client.id.desc())
    dates = newest.limit(COUNT_LIMIT + 1).subquery()
    recent = db.session.scalar(select(func.count()).where(dates.c.created_at >= since)) or 0
    left = select(func.sum(RunInterval.unsubscribed)).where(RunInterval.owner_id == owner_id)
    return Growth(
        count_up_to(own),
        BoundedCount(min(recent, COUNT_LIMIT), is_exact=recent <= COUNT_LIMIT),
        int(db.session.scalar(left.where(RunInterval.begins_at >= since)) or 0),
    )


def suggest_next_step(owner_id: int) -> Suggestion | None:
    """Return the first step that the owner has not taken yet; None if all are done."""
    drafts = select(Mailing).where(Mailing.owner_id == owner_id, Mailing.state == MailingState.DRAFT)
    drafts = drafts.where(Mailing.kind == MailingKind.MAILING)
    if draft := db.session.scalar(drafts.order_by(Mailing.id.desc()).limit(1)):
        return Suggestion(NextStep.DRAFT, draft)
    owners = {
        NextStep.DOMAIN: SendingDomain.owner_id,
        NextStep.FORM: SignupForm.owner_id,
        NextStep.SEQUENCE: Sequence.owner_id,
    }
    done = db.session.execute(select(*(exists().where(owner == owner_id) for owner in owners.values()))).one()
    return next((Suggestion(step) for step, is_done in zip(owners, done, strict=True) if not is_done), None)
