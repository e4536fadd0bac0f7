"""Fixtures for fault tests: drive the engine, and let an owner keep reading pages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy.orm import Session

from skymailing import jobs, queue
from skymailing.clock import utcnow
from skymailing.delivery import send
from skymailing.models import Mailing, RunState
from tests.conftest import SignIn
from tests.delivery.ledger import get_only_run

SLOWEST_PAGE = 5.0  # seconds, on a machine that is busy with other tests


class Engine:
    """Start mailings, do the workers' jobs, and let time pass."""

    def __init__(self, app: Flask, session: Session, work: Callable[[], None]) -> None:
        self.app = app
        self._session = session
        self._work = work
        self._ahead = timedelta()

    @property
    def now(self) -> datetime:
        return utcnow() + self._ahead

    def use_server(self, port: int, **settings: Any) -> None:
        """Use another mail server from now on."""
        with self.app.app_context():
            send.close_dispatcher()
        for name, value in {"port": port, **settings}.items():
            setattr(self.app.extensions["mail"], name, value)

    def start(self, mailing: Mailing) -> None:
        """Start a mailing and run all jobs that this leads to."""
        with self.app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        self._work()

    def sweep(self) -> None:
        """Run one sweep and all jobs that this leads to."""
        with time_machine.travel(self.now):
            with self.app.app_context():
                jobs.sweep()
            self._work()

    def pass_time(self, **duration: float) -> None:
        """Let time pass, then sweep."""
        self._ahead += timedelta(**duration)
        self.sweep()

    def finish(self, step: timedelta = timedelta(minutes=40), most: int = 20) -> None:
        """Let time pass, with a sweep after each step, until the only run is over."""
        for _ in range(most):
            if get_only_run(self._session).state is RunState.FINISHED:
                return
            self.pass_time(seconds=step.total_seconds())
        raise AssertionError("the run is still open")


@pytest.fixture
def engine(app: Flask, session: Session, work: Callable[[], None]) -> Iterator[Engine]:
    mail = app.extensions["mail"]
    settings, timeout = dict(vars(mail)), app.config["MAIL_TIMEOUT"]
    yield Engine(app, session, work)
    app.config["MAIL_TIMEOUT"] = timeout
    with app.app_context():
        send.close_dispatcher()
    vars(mail).update(settings)


@pytest.fixture
def short_timeouts(app: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait one second for a silent mail server instead of a minute."""
    app.config["MAIL_TIMEOUT"] = 0.5
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], letter_seconds=1.0))
    with app.app_context():
        send.close_dispatcher()


Watch = Callable[[Mailing], AbstractContextManager[None]]


@pytest.fixture
def watch_pages(sign_in: SignIn) -> Watch:
    """Return a context manager during which the owner reads pages, which must all load quickly."""

    @contextmanager
    def watch(mailing: Mailing) -> Iterator[None]:
        browser = sign_in(mailing.owner)
        addresses = ["/", "/healthz", f"/mailings/{mailing.id}", f"/mailings/{mailing.id}/log", "/clients/"]
        done = threading.Event()
        seen: list[tuple[str, int]] = []
        slow: list[tuple[str, float]] = []

        def read() -> None:
            while True:
                for address in addresses:
                    begun = time.monotonic()
                    seen.append((address, browser.get(address).status_code))
                    if time.monotonic() - begun > SLOWEST_PAGE:
                        slow.append((address, time.monotonic() - begun))
                if done.wait(0.3):
                    return

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            done.set()
            reader.join()
        assert {status for _, status in seen} == {200}, seen
        assert not slow

    return watch
