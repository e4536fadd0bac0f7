"""Create transactional letters without the API."""

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter import Recipient
from skymailing.delivery.rendering.transactional import make_content
from skymailing.delivery.rendering.values import Habits
from skymailing.extensions import db
from skymailing.letters import services
from skymailing.letters.contents import CHECKED
from skymailing.models import Delivery, MessageFormat, User
from tests.support import factories


def new_letter(owner: User, to: str = "anna@example.org", **values: Any) -> services.NewLetter:
    """Return a letter to add."""
    content = make_content("Order", MessageFormat.TEXT, "Total: {{ total }}", "en")
    checked = CHECKED.check(content, Habits.of(owner))
    return services.NewLetter(Recipient(to, "Anna", {"total": 1} | values), to, checked, None)


def create_letter(owner: User, to: str = "anna@example.org") -> Delivery:
    """Add a letter that waits to be sent; return its delivery."""
    with factories._apps[0].app_context():
        account = db.session.get_one(User, owner.id)
        id = services.add_letter(account, new_letter(account, to), utcnow()).delivery_id
        db.session.commit()
    session: Session | None = inspect(owner).session
    assert session is not None
    return session.get_one(Delivery, id)
