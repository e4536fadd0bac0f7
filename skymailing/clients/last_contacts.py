"""When the clients of a page got their last email, and last clicked."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select

from skymailing.extensions import db
from skymailing.models import CAUGHT_KINDS, Click, Delivery, DeliveryState, Mailing, Run
from skymailing.tracking.click_counts import to_time


@dataclass(frozen=True, slots=True)
class LastContact:
    """The times of a client's last email and of the last click; None if there is none."""

    emailed_at: datetime | None
    clicked_at: datetime | None


def find_last_contacts(owner_id: int, client_ids: Collection[int]) -> dict[int, LastContact]:
    """Return the last contacts of these clients by ID; clients without deliveries are left out.

    Of each link, the times of the first and of the last click are known. Clicks by machines do not count.
    """
    sent = func.max(Delivery.finished_at).filter(Delivery.state == DeliveryState.SENT)
    clicked_at = case((Click.was_person, Click.last_at), (Click.clicks > 0, Click.first_at))
    letters = select(Delivery.client_id, sent, func.max(clicked_at))
    letters = letters.join(Run, Run.id == Delivery.run_id).join(Mailing, Mailing.id == Run.mailing_id)
    letters = letters.outerjoin(Click, Click.delivery_id == Delivery.id)
    # Deliveries have no foreign key to clients, so check the owner, too.
    own = Delivery.client_id.in_(client_ids) & (Mailing.owner_id == owner_id)
    rows = letters.where(own, Mailing.kind.not_in(CAUGHT_KINDS)).group_by(Delivery.client_id)
    return {
        client_id: LastContact(emailed_at, None if clicked is None else to_time(clicked))
        for client_id, emailed_at, clicked in db.session.execute(rows).tuples()
        if client_id is not None
    }
