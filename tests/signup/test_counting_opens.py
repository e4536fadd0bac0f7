"""Test forms that ask if opens may be counted: a separate answer, recorded only if the box is ticked."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.models import Consent, ConsentPurpose, Signup, SignupForm, User
from tests.mailings.pages import get_main_text, soup
from tests.signup.people import Visitor, only_link, path_of, read_fields
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine
TEXT = "You may record whether I open these emails."


def find_tracking(session: Session) -> list[tuple[str, str]]:
    """Return the recorded consents to counting, with their texts."""
    rows = select(Consent).where(Consent.purpose == ConsentPurpose.TRACKING)
    return [(row.kind, row.text.text if row.text else "") for row in session.scalars(rows)]


@pytest.mark.parametrize(("own_text", "recorded"), [("", TEXT), ("Count my opens", "Count my opens")])
def test_the_consent_is_recorded_with_its_own_text_on_confirmation(
    app: Flask,
    session: Session,
    form: SignupForm,
    smtp: SmtpServer,
    work: Callable[[], None],
    own_text: str,
    recorded: str,
) -> None:
    form.asks_tracking, form.tracking_text = True, own_text
    session.flush()
    page = Visitor(app).get(path_of(form))
    (box,) = soup(page).select("input[type=checkbox][name=tracking]")
    assert not box.has_attr("checked"), "never ticked in advance"
    assert recorded in get_main_text(page)
    Visitor(app).sign_up(form, tracking="y")
    assert find_tracking(session) == [], "a request proves nothing"
    work()
    link = only_link(smtp)
    assert recorded in Visitor(app).get(link).text
    Visitor(app).post(link, {})
    assert find_tracking(session) == [("confirmed", recorded)]


@pytest.mark.parametrize(("asks", "entered"), [(True, {}), (False, {"tracking": "y"})])
def test_nothing_is_recorded_without_the_box(
    app: Flask,
    session: Session,
    form: SignupForm,
    smtp: SmtpServer,
    work: Callable[[], None],
    asks: bool,
    entered: dict[str, str],
) -> None:
    form.asks_tracking = asks
    session.flush()
    Visitor(app).sign_up(form, **entered)
    work()
    Visitor(app).post(only_link(smtp), {})
    assert find_tracking(session) == []


def test_the_latest_answer_counts(app: Flask, session: Session, form: SignupForm) -> None:
    form.asks_tracking = True
    session.flush()
    for entered, is_given in (({"tracking": "y"}, True), ({}, False)):
        Visitor(app).sign_up(form, **entered)
        session.expire_all()
        assert (session.scalars(select(Signup)).one().tracking_text_id is not None) is is_given


def test_an_owner_turns_the_question_on(
    session: Session, user: User, form: SignupForm, browser: FlaskClient
) -> None:
    page = browser.get(f"/forms/{form.id}/edit")
    fields = {name: value for name, value in read_fields(page).items() if name not in ("is_open", "tracking")}
    saved = browser.post(f"/forms/{form.id}/edit", data=fields | {"asks_tracking": "y", "language": "en"})
    assert saved.status_code == 302
    session.refresh(form)
    assert form.asks_tracking
    shown = browser.get(f"/forms/{form.id}")
    assert f"Counting opens {TEXT}" in get_main_text(shown)
    assert "tracking" in soup(shown).select("textarea.form-code")[0].get_text()
