"""Read the variants of mailings and of runs."""

from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from skymailing.models import Mailing, MailingVariant, MessageFormat, Run, RunVariant


@dataclass(frozen=True, slots=True)
class VariantContent:
    """The content that distinguishes a variant's letters."""

    subject: str
    format: MessageFormat
    body: str
    language: str
    sender_name: str


CONTENT = (
    *(RunVariant.subject, RunVariant.format, RunVariant.body, RunVariant.language),
    RunVariant.sender_name,
)


def load_contents(connection: Connection, run_id: int) -> dict[int, VariantContent]:
    """Return the variants of a run by number."""
    rows = connection.execute(select(RunVariant.number, *CONTENT).where(RunVariant.run_id == run_id))
    return {number: VariantContent(*content) for number, *content in rows}


def load_headers(session: Session, run_id: int) -> dict[int, tuple[str, str]]:
    """Return the subjects and sender names of a run's variants, by number."""
    headers = select(RunVariant.number, RunVariant.subject, RunVariant.sender_name)
    rows = session.execute(headers.where(RunVariant.run_id == run_id)).tuples()
    return {number: (subject, sender_name) for number, subject, sender_name in rows}


def list_variants(session: Session, mailing_id: int) -> list[MailingVariant]:
    """Return the variants of a mailing other than A, in order."""
    statement = select(MailingVariant).where(MailingVariant.mailing_id == mailing_id)
    return list(session.scalars(statement.order_by(MailingVariant.number)))


def list_contents(session: Session, mailing: Mailing, last: Run | None) -> dict[int, VariantContent]:
    """Return the variants that the last run has sent, or a first run would send; none if it has no test."""
    if last is not None:
        return load_contents(session.connection(), last.id)
    others = list_variants(session, mailing.id)
    changes = [(1, "", "", mailing.message)] if others else []
    changes += [(one.number, one.subject, one.sender_name, one.message or mailing.message) for one in others]
    return {
        number: VariantContent(
            subject or message.subject,
            message.format,
            message.body,
            message.language,
            sender_name or mailing.sender_name,
        )
        for number, subject, sender_name, message in changes
    }
