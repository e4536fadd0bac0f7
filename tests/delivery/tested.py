"""Create mailings with A/B tests, and check their letters."""

from collections import Counter
from collections.abc import Iterable
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Delivery, Engagement, Mailing, MailingVariant, Run, User
from tests.support.factories import MessageFactory, due_mailing
from tests.support.servers import Letter


def plan_tested(
    owner: User, session: Session, variants: Iterable[dict[str, Any]] = ({"subject": "B"},), **values: Any
) -> Mailing:
    """Create a due mailing whose variants have the subjects "A" and "B", unless others are given."""
    test = {"sample_percent": 50, "test_hours": 4, "winner_by": "clicks", "track_clicks": True}
    values = {"message": MessageFactory.create(owner=owner, subject="A"), **test} | values
    mailing = due_mailing(owner, **values)
    for number, variant in enumerate(variants, 2):
        session.add(MailingVariant(mailing_id=mailing.id, number=number, **variant))
    session.flush()
    return mailing


def read_subject(letter: Letter) -> str:
    return str(make_header(decode_header(BytesHeaderParser().parsebytes(letter.content)["Subject"])))


def count_subjects(letters: Iterable[Letter]) -> Counter[str]:
    return Counter(map(read_subject, letters))


def list_sample(session: Session, run: Run, variant: int) -> list[Delivery]:
    """Return the deliveries of a variant."""
    is_variant = (Delivery.run_id == run.id) & (Delivery.variant == variant)
    return list(session.scalars(select(Delivery).where(is_variant).order_by(Delivery.id)))


def click(session: Session, run: Run, deliveries: Iterable[Delivery], *, is_machine: bool = False) -> None:
    """Make the letters' recipients, or machines, follow a link."""
    for delivery in deliveries:
        counts = {"machine_clicks": 1} if is_machine else {"clicks": 1, "first_click_at": 1}
        session.add(Engagement(delivery_id=delivery.id, run_id=run.id, mailing_id=run.mailing_id, **counts))
        run.clicked += not is_machine
    session.flush()
