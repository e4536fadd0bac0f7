"""Plan the test of a run: copy the variants of its mailing, and choose its sample."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.delivery.calendar.sending_hours import SendingHours
from skymailing.delivery.composition.planning import NewBodies
from skymailing.delivery.senders import describe_from
from skymailing.delivery.variants.contents import list_variants
from skymailing.delivery.variants.decision import set_winner
from skymailing.delivery.variants.samples import IN_SAMPLE, Sample
from skymailing.models import (
    Decision,
    Delivery,
    Mailing,
    MailingVariant,
    Run,
    RunState,
    RunVariant,
    WinnerBy,
)


def begin_test(run: Run, mailing: Mailing, now: datetime) -> None:
    """Set up the test of a new run of a mailing with variants.

    The time for results begins when the sending hours next open.
    """
    opening = SendingHours.of(mailing).find_next_opening(now) or now
    run.state = RunState.TESTED
    run.test_hours, run.winner_by = mailing.test_hours, mailing.winner_by
    run.test_ends_at = opening + timedelta(hours=mailing.test_hours)


def copy_variants(session: Session, run: Run, mailing: Mailing, bodies: NewBodies) -> Sample | None:
    """Copy the variants of a mailing to its new run; return the sample, or None if there is no test."""
    if run.test_ends_at is None:
        return None
    others = list_variants(session, mailing.id)
    session.add(
        RunVariant(
            run_id=run.id,
            number=1,
            subject=run.subject,
            sender_name=run.sender_name,
            format=run.format,
            body=run.body,
            language=run.language,
        )
    )
    session.add_all(_copy_variant(run, mailing, variant, bodies) for variant in others)
    session.flush()
    return Sample(run.uuid, mailing.sample_percent, 1 + len(others))


def skip_empty_test(session: Session, mailing: Mailing, run: Run, now: datetime) -> None:
    """Send variant A to all clients if the sample is empty, as can happen with very few clients."""
    in_sample = select(Delivery.id).where(Delivery.run_id == run.id, IN_SAMPLE).limit(1)
    if run.winner_by == WinnerBy.CLICKS and session.scalar(in_sample) is None:
        set_winner(mailing, run, 1, Decision.NO_DIFFERENCE, now)


def _copy_variant(run: Run, mailing: Mailing, variant: MailingVariant, bodies: NewBodies) -> RunVariant:
    message = variant.message or mailing.message
    name = variant.sender_name or mailing.sender_name
    return RunVariant(
        run_id=run.id,
        number=variant.number,
        subject=variant.subject or message.subject,
        sender_name=describe_from(mailing.owner, mailing.sender, name).name,
        format=message.format,
        body=bodies.of(message),
        language=message.language,
    )
