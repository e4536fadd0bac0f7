"""Read the variants of an account's mailings and runs for the export."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from skymailing.auth.export.rows import to_dict
from skymailing.delivery.variants.results import read_results
from skymailing.extensions import db
from skymailing.models import MailingVariant, Run, RunVariant

MAILING_COLUMNS = (MailingVariant.number, MailingVariant.subject, MailingVariant.sender_name)
RUN_COLUMNS = (RunVariant.number, RunVariant.subject, RunVariant.sender_name)
CONTENT = (RunVariant.format, RunVariant.body, RunVariant.language)


def list_of_mailing(mailing_id: int) -> list[dict[str, Any]]:
    """Return how a mailing's variants differ from the mailing, which is variant 1."""
    own = select(*MAILING_COLUMNS, MailingVariant.message_id).where(MailingVariant.mailing_id == mailing_id)
    rows = db.session.execute(own.order_by(MailingVariant.number)).all()
    db.session.rollback()
    return [to_dict(row) for row in rows]


def list_of_run(run: Run) -> list[dict[str, Any]]:
    """Return the variants that a run has sent, with their results."""
    if run.test_ends_at is None:
        return []
    own = select(*RUN_COLUMNS, *CONTENT).where(RunVariant.run_id == run.id).order_by(RunVariant.number)
    contents = db.session.execute(own).all()
    return [
        to_dict(row) | asdict(result)
        for row, result in zip(contents, read_results(db.session(), run), strict=True)
    ]
