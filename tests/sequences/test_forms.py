"""Test that forms keep values that they cannot show, and do not overwrite changes from another window."""

from datetime import time

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete

from skymailing.models import Tag, Trigger, User
from tests.sequences.test_pages import read_fields, soup, submit
from tests.support.factories import ClientFactory
from tests.support.sequence_factories import Sequences, days

pytestmark = pytest.mark.one_engine


def test_a_new_start_has_to_be_chosen_after_its_tag_was_deleted(
    browser: FlaskClient, sequences: Sequences
) -> None:
    tag = sequences.tag("lead")
    sequence = sequences.create(days(0), trigger=Trigger.TAG, tag_id=tag.id)
    sequences.session.execute(delete(Tag))
    path = f"/sequences/{sequence.id}/edit"
    assert read_fields(soup(browser.get(path)))["start"] == ""
    assert "Choose what starts the sequence" in soup(submit(browser, path, name="Other")).text
    assert submit(browser, path, start="manual").status_code == 302


def test_a_date_field_without_valid_dates_stays_selected(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    ClientFactory.create(owner=user, attributes={"born": "soon"})
    sequence = sequences.create(days(0), trigger=Trigger.DATE, date_key="born")
    path = f"/sequences/{sequence.id}/edit"
    assert submit(browser, path, name="Other").status_code == 302
    sequences.session.refresh(sequence)
    assert (sequence.name, sequence.date_key) == ("Other", "born")


def test_saving_an_email_that_changed_in_another_window_reports_a_conflict(
    browser: FlaskClient, sequences: Sequences, user: User
) -> None:
    sequence = sequences.create(days(1), days(5))
    step, other = sequences.list_steps(sequence)
    path = f"/sequences/steps/{step.id}/edit"
    opened = read_fields(soup(browser.get(path)))
    submit(browser, f"/sequences/steps/{other.id}/edit", wait="6")  # another email causes no conflict
    assert submit(browser, path, wait="2").status_code == 302
    invalid = soup(browser.post(path, data=opened | {"wait": "x", "at_time": "10:00"}))
    refused = soup(browser.post(path, data=read_fields(invalid) | {"wait": "3"}))
    assert "changed in another window" in refused.text
    assert [link.text for link in refused.select("main form a[target]")] == ["Show saved version"]
    assert sequences.list_steps(sequence)[0].wait == 2
    again = read_fields(refused)
    assert (again["wait"], again["at_time"]) == ("3", "10:00"), "the user's input is kept"
    assert browser.post(path, data=again).status_code == 302
    saved = sequences.list_steps(sequence)[0]
    assert (saved.wait, saved.at_time) == (3, time(10))
