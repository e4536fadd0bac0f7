"""Test mailings through a real Postfix (`make soak`)."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.faults.real_servers import send_with_two_workers
from tests.support.mail_servers import Postfix

pytestmark = [pytest.mark.soak, pytest.mark.one_engine]

LETTERS = 950
RATE_LIMIT = """\
smtpd_client_message_rate_limit = 300
smtpd_client_event_limit_exceptions =
anvil_rate_time_unit = 20s"""


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    """Run a Postfix that accepts 300 letters in 20 seconds, and also counts those that it refuses."""
    with Postfix(RATE_LIMIT) as server:
        yield server


def test_a_rate_limit_delays_letters_but_refuses_hardly_any(
    app: Flask, environment: dict[str, str], session: Session, user: User, postfix: Postfix
) -> None:
    seconds = send_with_two_workers(app, environment, session, user, postfix, LETTERS)

    refused = postfix.refused_senders()
    assert 0 < refused <= 0.05 * (LETTERS + refused)
    assert seconds <= 110, "at least four periods of 20 seconds"
