"""When the clients of a page got their last email, and last clicked."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select

from skymailing.extensions import db
from skymailing.models import CAUGHT_KINDS, Click, Client, Delivery, DeliveryState, Mailing, Run
from skymailing.tracking.click_counts import to_time

# Of each link, the times of the first and of the last click are known. Clicks by machines do not count.
CLICKED_AT = case((Click.was_person, Click.last_at), (Click.clicks > 0, Click.first_at))


@dataclass(frozen=True, slots=True)
class LastContact:
    """The times of a client's last email and of the last click; None if there is none."""

    emailed_at: datetime | None
    clicked_at: datetime | None


def find_last_contacts(owner_id: int, client_ids: Collection[int]) -> dict[int, LastContact]:
    """Return the last contacts of these clients by ID; clients without deliveries are left out."""
    sent = func.max(Delivery.finished_at).filter(Delivery.state == DeliveryState.SENT)
    letters = select(Delivery.client_id, sent, func.max(CLICKED_AT))
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


def select_last_email(owner_id: int) -> ColumnElement[datetime | None]:
    """Return the time of a client's last email as a value of each row of `clients`."""
    sent = Delivery.state == DeliveryState.SENT
    return _of_client(select(func.max(Delivery.finished_at)).where(sent), owner_id).scalar_subquery()


def select_last_click(owner_id: int) -> ColumnElement[int | None]:
    """Return the time of a client's last click, in milliseconds, as a value of each row of `clients`."""
    # Nested, so that PostgreSQL looks up the clicks of each letter instead of reading all clicks.
    clicked_at = select(func.max(CLICKED_AT)).where(Click.delivery_id == Delivery.id).correlate(Delivery)
    return _of_client(select(func.max(clicked_at.scalar_subquery())), owner_id).scalar_subquery()


def _of_client(letters: Select[Any], owner_id: int) -> Select[Any]:
    """Restrict a statement to the letters of each client."""
    own = select(Run.id).join(Mailing, Mailing.id == Run.mailing_id)
    own = own.where(Mailing.owner_id == owner_id, Mailing.kind.not_in(CAUGHT_KINDS))
    letters = letters.select_from(Delivery)
    return letters.where(Delivery.client_id == Client.id, Delivery.run_id.in_(own)).correlate(Client)
