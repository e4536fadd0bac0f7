"""Test forms and confirmation links of owners who have been blocked or are leaving."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clock import utcnow
from skymailing.models import Client, SignupForm, User
from tests.mailings.pages import get_main_text
from tests.signup.people import Visitor, only_link, path_of
from tests.support.servers import SmtpServer

pytestmark = pytest.mark.one_engine

Work = Callable[[], None]


@pytest.mark.parametrize("leaving", ["blocked_at", "deletion_at"])
def test_forms_of_owners_who_leave_are_closed(
    app: Flask, session: Session, user: User, form: SignupForm, leaving: str
) -> None:
    anna = Visitor(app)
    assert anna.get(path_of(form)).status_code == 200
    setattr(user, leaving, utcnow())
    session.flush()
    assert anna.get(path_of(form)).status_code == 410
    assert anna.sign_up(form).status_code == 410


@pytest.mark.parametrize("leaving", ["blocked_at", "deletion_at"])
def test_links_to_forms_of_owners_who_leave_do_nothing_for_now(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work, leaving: str
) -> None:
    """The texts, colours and next page of a blocked owner must not remain visible."""
    form.thanks_url = "https://evil.example/"
    anna = Visitor(app)
    anna.sign_up(form)
    work()
    link = only_link(smtp)
    setattr(user, leaving, utcnow())
    session.flush()
    for response in anna.get(link), anna.post(link, {}):
        assert response.status_code == 410
        assert "This form is closed" in get_main_text(response)
        assert "evil.example" not in response.text
    assert session.scalar(select(Client)) is None
    setattr(user, leaving, None)
    session.flush()
    assert "You are subscribed" in get_main_text(anna.post(link, {}))


@pytest.mark.parametrize("leaving", ["blocked_at", "deletion_at"])
def test_waiting_letters_of_owners_who_leave_are_not_sent(
    app: Flask, session: Session, user: User, form: SignupForm, smtp: SmtpServer, work: Work, leaving: str
) -> None:
    Visitor(app).sign_up(form)
    setattr(user, leaving, utcnow())
    session.flush()
    work()
    assert smtp.letters == []
