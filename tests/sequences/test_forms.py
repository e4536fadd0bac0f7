"""Test that a form does not change what it cannot show."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete

from skymailing.models import Tag, Trigger, User
from tests.sequences.test_pages import read_fields, soup, submit
from tests.support.factories import ClientFactory
from tests.support.sequence_factories import Sequences, days

pytestmark = pytest.mark.one_engine


def test_a_deleted_start_has_to_be_chosen_again(browser: FlaskClient, sequences: Sequences) -> None:
    tag = sequences.tag("lead")
    sequence = sequences.create(days(0), trigger=Trigger.TAG, tag_id=tag.id)
    sequences.session.execute(delete(Tag))
    path = f"/sequences/{sequence.id}/edit"
    assert read_fields(soup(browser.get(path)))["start"] == ""
    assert "Choose what starts the sequence" in soup(submit(browser, path, name="Other")).text
    assert submit(browser, path, start="manual").status_code == 302


def test_a_field_without_dates_stays_chosen(browser: FlaskClient, sequences: Sequences, user: User) -> None:
    ClientFactory.create(owner=user, attributes={"born": "soon"})
    sequence = sequences.create(days(0), trigger=Trigger.DATE, date_key="born")
    path = f"/sequences/{sequence.id}/edit"
    assert submit(browser, path, name="Other").status_code == 302
    sequences.session.refresh(sequence)
    assert (sequence.name, sequence.date_key) == ("Other", "born")
