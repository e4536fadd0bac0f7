"""Test how the panel shows the letters of sequences, which are listed as mailings."""

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Mailing, Role
from tests.conftest import SignIn
from tests.support.factories import UserFactory
from tests.support.sequence_factories import Sequences, days

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
