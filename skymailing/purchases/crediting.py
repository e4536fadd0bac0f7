"""Credit a purchase to the mailing whose link the client clicked last before it."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Row, and_, case, cast, select

from skymailing.extensions import db
from skymailing.models import Click, Client, Delivery, Mailing, MailingKind, Run
from skymailing.tracking.click_counts import to_milliseconds

PERIOD = timedelta(days=7)  # between the click and the purchase
SELLING_KINDS = (MailingKind.MAILING, MailingKind.SEQUENCE)


def find_credited(client: Client, purchased_at: datetime) -> Row[tuple[int, int]] | None:
    """Return the run and the mailing of the link that the client clicked last, or None without a click.

    For each link, only the times of the first and the last click are stored. Clicks by machines do not count.
    """
    until = to_milliseconds(purchased_at)
    since = to_milliseconds(purchased_at - PERIOD)
    was_before = and_(Click.was_person, Click.last_at <= until)
    clicked_at = cast(case((was_before, Click.last_at), else_=Click.first_at), BigInteger)
    statement = (
        select(Delivery.run_id, Run.mailing_id)
        .join(Click, Click.delivery_id == Delivery.id)
        .join(Run, Run.id == Delivery.run_id)
        .join(Mailing, Mailing.id == Run.mailing_id)
        .where(Delivery.client_id == client.id, Mailing.owner_id == client.owner_id)
        .where(Mailing.kind.in_(SELLING_KINDS), Click.clicks > 0, clicked_at.between(since, until))
        .order_by(clicked_at.desc(), Delivery.id.desc())
    )
    return db.session.execute(statement.limit(1)).first()
