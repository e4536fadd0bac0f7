"""Test that managers see every variant of a mailing with an A/B test."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import DeliveryState, MailingVariant, MessageFormat, Role, User
from tests.conftest import SignIn
from tests.support.factories import (
    MailingFactory,
    MessageFactory,
    RunVariantFactory,
    UserFactory,
    create_tested_run,
)

pytestmark = pytest.mark.one_engine


@pytest.fixture
def panel(sign_in: SignIn, session: Session) -> FlaskClient:
    return sign_in(UserFactory.create(role=Role.MANAGER))


def test_a_manager_sees_each_variant(session: Session, user: User, panel: FlaskClient) -> None:
    text = {"owner": user, "format": MessageFormat.TEXT}
    mailing = MailingFactory.create(owner=user, message=MessageFactory.create(**text, body="The first text"))
    other = MessageFactory.create(**text, body="The second text")
    session.add(MailingVariant(mailing_id=mailing.id, number=2, subject="Harmless?", message_id=other.id))
    session.flush()
    page = f"/manager/mailings/{mailing.id}/"
    assert "Variant B: Harmless?" in panel.get(page).text
    for variant, body in ((1, "The first text"), (2, "The second text")):
        assert body in panel.get(f"{page}letter", query_string={"variant": variant}).text

    run = create_tested_run(mailing, {DeliveryState.PENDING: 1})
    RunVariantFactory.create(run=run, number=3, body="What was sent")
    assert "What was sent" in panel.get(f"{page}letter", query_string={"variant": 3}).text
    assert panel.get(f"{page}letter", query_string={"variant": "x"}).status_code == 200
