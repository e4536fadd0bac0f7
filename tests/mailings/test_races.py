"""Test concurrent changes to a mailing by tabs or a worker: the second sees the result of the first."""

from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from skymailing.clock import utcnow
from skymailing.delivery import plan
from skymailing.delivery.audience.recipients import find_recipients
from skymailing.delivery.composition.planning import NewBodies
from skymailing.extensions import db
from skymailing.mailings import resending, services
from skymailing.mailings.errors import MailingError
from skymailing.mailings.run_queries import find_last_run
from skymailing.models import Delivery, DeliveryState, Mailing, MailingState, Run, RunState, User
from skymailing.web.error_texts import explain
from tests.conftest import SignIn
from tests.mailings.pages import get_main_text
from tests.support.factories import ClientFactory, MailingFactory, create_run, due_mailing
from tests.support.servers import SmtpServer

Work = Callable[[], None]
TIMEOUT = 30.0  # seconds


def press(browser: FlaskClient, path: str) -> TestResponse:
    # Only one of the buttons needs the decision; the others ignore it.
    return browser.post(path, data={"decision": "resend"}, follow_redirects=True)


class ButtonPress(Thread):
    """A thread that presses a button in a browser and keeps the resulting page."""

    def __init__(self, browser: FlaskClient, path: str, barrier: Barrier | None = None) -> None:
        super().__init__()
        self._browser, self._path, self._barrier = browser, path, barrier
        self.pages: list[TestResponse] = []

    def run(self) -> None:
        if self._barrier:
            self._barrier.wait(TIMEOUT)
        self.pages.append(press(self._browser, self._path))

    def wait_for_text(self) -> str:
        self.join(TIMEOUT)
        (page,) = self.pages
        assert page.status_code == 200
        return get_main_text(page)


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_a_button_pressed_while_a_mailing_finishes_does_not_change_it(
    app: Flask, session: Session, browser: FlaskClient, user: User, verb: str
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    run = create_run(mailing, {DeliveryState.SENT: 1}, state=RunState.SENDING)
    tab = ButtonPress(browser, f"/mailings/{mailing.id}/{verb}")
    with app.app_context(), Session(db.engine) as worker, worker.begin():
        locked_run, locked_mailing = plan._lock_run(worker, run.id)
        assert locked_mailing
        assert locked_run
        tab.start()
        tab.join(0.7)
        assert tab.is_alive(), "the button waits for the worker"
        locked_mailing.state, locked_run.state = MailingState.FINISHED, RunState.FINISHED

    assert "This is not possible while the mailing is finished" in tab.wait_for_text()
    session.expire_all()
    assert (mailing.state, run.state) == (MailingState.FINISHED, RunState.FINISHED)


def test_a_run_that_a_worker_has_just_started_is_not_started_again(
    app: Flask, session: Session, browser: FlaskClient, user: User, smtp: SmtpServer, work: Work
) -> None:
    client = ClientFactory.create(owner=user)
    mailing = due_mailing(user)
    tab = ButtonPress(browser, f"/mailings/{mailing.id}/start")
    with app.app_context(), Session(db.engine) as worker, worker.begin():
        locked_mailing = worker.scalars(select(Mailing).with_for_update()).one()
        plan._plan_run(worker, find_recipients(locked_mailing, utcnow()), NewBodies(), utcnow())
        tab.start()
        tab.join(0.7)
        assert tab.is_alive()

    tab.wait_for_text()
    session.expire_all()
    assert (mailing.state, mailing.next_run_at) == (MailingState.RUNNING, None)
    work()
    assert smtp.per_address() == {client.email: 1}
    assert len(session.scalars(select(Run)).all()) == 1


@pytest.mark.only_on("postgresql", reason="SQLite has one writer, which never reads older data")
def test_a_service_reloads_the_mailing_so_no_change_is_lost(app: Flask, session: Session, user: User) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.RUNNING)
    create_run(mailing, {DeliveryState.SENT: 1}, state=RunState.SENDING)
    with app.app_context():
        loaded = db.session.get_one(Mailing, mailing.id)
        run = find_last_run(loaded)
        assert run
        assert plan.finish_run(run.id, utcnow())  # in its own session
        assert loaded.state is MailingState.RUNNING, "loaded earlier"
        with pytest.raises(MailingError, match="mailing_transition_not_allowed") as raised:
            services.pause_mailing(loaded, utcnow())
        assert "while the mailing is finished" in explain(raised.value)
        assert (loaded.state, resending.resend_failed(loaded, utcnow())) == (MailingState.FINISHED, 0)
        assert run.state is RunState.FINISHED
        db.session.commit()
    session.expire_all()
    assert mailing.state is MailingState.FINISHED


@pytest.mark.parametrize(
    ("verb", "state", "confirmation"),
    [
        ("resend-failed", DeliveryState.FAILED, "2 emails will be sent again"),
        (
            "settle-unknowns",
            DeliveryState.UNKNOWN,
            "2 unclear emails will be sent again",
        ),
    ],
)
def test_resending_in_two_tabs_at_once_sends_once(
    session: Session,
    user: User,
    sign_in: SignIn,
    smtp: SmtpServer,
    work: Work,
    verb: str,
    state: DeliveryState,
    confirmation: str,
) -> None:
    mailing = MailingFactory.create(owner=user, state=MailingState.FINISHED)
    run = create_run(mailing, {state: 2, DeliveryState.SENT: 1})
    barrier = Barrier(2)
    path = f"/mailings/{mailing.id}/{verb}"
    tabs = [ButtonPress(sign_in(user), path, barrier) for _tab in range(2)]
    for tab in tabs:
        tab.start()
    confirmations = Counter(confirmation in tab.wait_for_text() for tab in tabs)
    assert confirmations == {True: 1, False: 1}
    work()

    per_client = {address: count for address, count in smtp.per_address().items() if address != user.email}
    assert Counter(per_client.values()) == {1: 2}
    session.expire_all()
    assert (mailing.state, run.state) == (MailingState.FINISHED, RunState.FINISHED)
    assert set(session.scalars(select(Delivery.state))) == {DeliveryState.SENT}
    # A third tab still shows the button after everything has finished.
    assert confirmation not in get_main_text(press(sign_in(user), path))
    session.expire_all()
    assert (mailing.state, run.state) == (MailingState.FINISHED, RunState.FINISHED)
