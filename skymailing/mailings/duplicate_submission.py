"""A form sent twice makes one mailing: a second one would be a second letter to everybody.

A page that is sent again, by a double click, by a reload or from the browser's history, says when it was
opened. A mailing that was made since then and is the same in everything is what it made the first time.
"""

from datetime import datetime

from sqlalchemy import select

from skymailing.extensions import db
from skymailing.mailings.forms import MailingForm
from skymailing.mailings.selection import Selection, is_chosen
from skymailing.models import Audience, Mailing, MailingState, User

COMPARED = (
    *("name", "message_id", "sender_name", "audience", "ends_at", "periodicity", "on_unknown"),
    *("weekdays", "opens_at", "closes_at", "on_late"),
)


def find_twin(owner: User, form: MailingForm, *, is_draft: bool) -> int | None:
    """Return the id of the mailing that this very page has made already; None when it has made none.

    Holds the owner's row until the transaction ends, so that of two at once the second sees the first.
    """
    opened_at = read_moment(form.opened_at.data)
    if opened_at is None:
        return None
    db.session.execute(select(User.id).where(User.id == owner.id).with_for_update(key_share=True))
    wanted = Mailing()
    form.fill(wanted)
    same = [getattr(Mailing, name) == getattr(wanted, name) for name in COMPARED]
    if form.starts_at.data:
        same.append(Mailing.starts_at == wanted.starts_at)
    statement = select(Mailing).where(
        Mailing.owner_id == owner.id,
        Mailing.created_at >= opened_at,
        (Mailing.state == MailingState.DRAFT) == is_draft,
        *same,
    )
    chosen = form.clients.data if wanted.audience is Audience.SELECTED else Selection()
    for twin in db.session.scalars(statement.order_by(Mailing.id)):
        if is_chosen(twin, chosen):
            return twin.id
    return None


def read_moment(text: str | None) -> datetime | None:
    """Return the moment that a page carries, or None: whoever posts without a page makes a new mailing."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
