"""Create transactional letters without the API."""

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.delivery.rendering.letter import Recipient
from skymailing.delivery.rendering.transactional import make_content
from skymailing.delivery.rendering.values import ValueFormats
from skymailing.extensions import db
from skymailing.letters import services
from skymailing.letters.contents import CHECKED
from skymailing.models import CaughtLetter, Delivery, MessageFormat, User
from tests.support import factories


def new_letter(owner: User, to: str = "anna@example.org", **values: Any) -> services.NewLetter:
    """Return a letter's values, as `services.add_letter` expects them."""
    content = make_content("Order", MessageFormat.TEXT, "Total: {{ total }}", "en")
    checked = CHECKED.check(content, ValueFormats.of(owner))
    return services.NewLetter(Recipient(to, "Anna", {"total": 1} | values), to, checked, None)


def create_letter(owner: User, to: str = "anna@example.org", *, is_caught: bool = False) -> Delivery:
    """Add a letter that is waiting to be sent, or caught if `is_caught`; return its delivery."""
    with factories._apps[0].app_context():
        account = db.session.get_one(User, owner.id)
        letter = new_letter(account, to)
        id = services.add_letter(account, letter, utcnow(), is_caught=is_caught).delivery_id
        db.session.commit()
    session: Session | None = inspect(owner).session
    assert session is not None
    return session.get_one(Delivery, id)


SOURCE = b"""From: Shop <shop@example.org>\r
To: anna@example.org\r
Subject: Order\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary="1"\r
\r
--1\r
Content-Type: text/plain; charset=utf-8\r
\r
Total: 1\r
--1\r
Content-Type: text/html; charset=utf-8\r
\r
<p>Total: 1</p>\r
--1--\r
"""


def create_caught_letter(owner: User) -> CaughtLetter:
    """Create a letter that was added with a test key and has been caught."""
    delivery = create_letter(owner, is_caught=True)
    session: Session | None = inspect(owner).session
    assert session is not None
    letter = CaughtLetter(
        owner_id=owner.id,
        delivery_id=delivery.id,
        email=delivery.email,
        subject="Order",
        source=SOURCE,
        caught_at=utcnow(),
    )
    session.add(letter)
    session.flush()
    return letter
