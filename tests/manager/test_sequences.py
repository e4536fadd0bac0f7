"""Test how the panel shows the letters of sequences, which are listed as mailings."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import DeliveryState, Mailing, Role, RunState
from tests.conftest import SignIn
from tests.mailings.pages import soup
from tests.support.factories import UserFactory, count_changes, create_run
from tests.support.sequence_factories import NOON, Sequences, days

# Pages do not depend on the database.
pytestmark = pytest.mark.one_engine


def test_letters_of_sequences_have_no_end(app: Flask, session: Session, sign_in: SignIn) -> None:
    owner = UserFactory.create()
    sequence = Sequences(app, session, owner).create(days(1))
    (mailing_id,) = session.scalars(select(Mailing.id)).all()
    panel = sign_in(UserFactory.create(role=Role.MANAGER))
    for path in ("/manager/mailings/", f"/manager/mailings/{mailing_id}/"):
        page = panel.get(path).text
        assert sequence.name in page
        assert '<span class="no-value">–</span>' in page
        assert "2999" not in page


@pytest.mark.both_engines
def test_a_step_shows_the_sums_of_all_its_days(app: Flask, session: Session, sign_in: SignIn) -> None:
    Sequences(app, session, UserFactory.create()).create(days(1))
    (mailing,) = session.scalars(select(Mailing)).all()
    counts = {DeliveryState.SENT: 3, DeliveryState.FAILED: 1}
    run = create_run(mailing, counts, scheduled_for=NOON, state=RunState.FINISHED, track_clicks=True)
    with count_changes(run) as changes:
        changes.add("clicked", 1, run.started_at)
    counts = {DeliveryState.SENT: 2, DeliveryState.UNKNOWN: 1, DeliveryState.EXPIRED: 1}
    create_run(mailing, counts, scheduled_for=NOON + timedelta(days=1), state=RunState.FINISHED)
    panel = sign_in(UserFactory.create(role=Role.MANAGER))

    def read_cells() -> list[str]:
        cells = soup(panel.get("/manager/mailings/")).select("tbody :is(.number, .row-result)")
        return [" ".join(cell.get_text().split()) for cell in cells]

    assert read_cells() == ["71.4%", "33.3%", "5 delivered, 1 not delivered, 1 unclear, 1 not sent"]
    waiting = {DeliveryState.PENDING: 2}
    create_run(mailing, waiting, scheduled_for=NOON + timedelta(days=2), state=RunState.SEQUENCE)
    assert read_cells()[2].startswith("80% done · 5 of 10 delivered")
