"""Test mailings through a real Exim (`make soak`)."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.faults.real_servers import send_with_two_workers
from tests.support.mail_servers import Exim

pytestmark = [pytest.mark.soak, pytest.mark.one_engine]

LETTERS = 950
RATE_LIMIT = """\
  defer ratelimit = 300 / 20s / {mode} / per_mail
        message = 4.7.1 rate limit exceeded"""


@pytest.fixture(params=["strict", "leaky"])
def exim(request: pytest.FixtureRequest) -> Iterator[Exim]:
    """Run an Exim that accepts 300 letters in 20 seconds; `strict` also counts those that it refuses."""
    with Exim(mail=RATE_LIMIT.format(mode=request.param)) as server:
        yield server


def test_a_rate_limit_delays_letters_but_refuses_hardly_any(
    app: Flask, environment: dict[str, str], session: Session, user: User, exim: Exim
) -> None:
    seconds = send_with_two_workers(app, environment, session, user, exim, LETTERS)

    refused = exim.refused_senders()
    assert 0 < refused <= 0.05 * (LETTERS + refused)
    assert exim.dropped_sessions == 0
    assert seconds <= 80
