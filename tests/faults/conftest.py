"""Provide fixtures that run the engine and let an owner keep loading pages."""

import os
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
from skymailing.delivery.dispatcher import close_dispatcher
from skymailing.models import Mailing, RunState
from tests.conftest import SignIn
from tests.delivery.ledger import get_only_run

MAX_PAGE_SECONDS = 5.0  # on a machine that is busy with other tests


class Engine:
    """The engine in this process, which starts mailings, runs jobs and lets time pass."""

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
            close_dispatcher()
        for name, value in {"port": port, **settings}.items():
            setattr(self.app.extensions["mail"], name, value)

    def start(self, mailing: Mailing) -> None:
        """Start a mailing and run all resulting jobs."""
        with self.app.app_context():
            queue.enqueue("start_mailing", mailing.id)
        self._work()

    def sweep(self) -> None:
        """Run one sweep and all resulting jobs."""
        with time_machine.travel(self.now):
            with self.app.app_context():
                jobs.sweep()
            self._work()

    def pass_time(self, **duration: float) -> None:
        """Let time pass, and then sweep."""
        self._ahead += timedelta(**duration)
        self.sweep()

    def finish(self, step: timedelta = timedelta(minutes=40), max_steps: int = 20) -> None:
        """Let time pass, with a sweep after each step, until the only run has finished."""
        for _ in range(max_steps):
            if get_only_run(self._session).state is RunState.FINISHED:
                return
            self.pass_time(seconds=step.total_seconds())
        raise AssertionError("the run has not finished")


@pytest.fixture
def engine(app: Flask, session: Session, work: Callable[[], None]) -> Iterator[Engine]:
    mail = app.extensions["mail"]
    settings, timeout = dict(vars(mail)), app.config["MAIL_TIMEOUT"]
    yield Engine(app, session, work)
    app.config["MAIL_TIMEOUT"] = timeout
    with app.app_context():
        close_dispatcher()
    vars(mail).update(settings)


@pytest.fixture
def short_timeouts(app: Flask, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait only one second for a silent mail server, not a minute."""
    app.config["MAIL_TIMEOUT"] = 0.5
    monkeypatch.setitem(app.config, "ENGINE", replace(app.config["ENGINE"], letter_seconds=1.0))
    with app.app_context():
        close_dispatcher()


WatchPages = Callable[[Mailing], AbstractContextManager[None]]


@pytest.fixture
def watch_pages(sign_in: SignIn) -> WatchPages:
    """Return a context manager during which the owner loads pages, all of which must load quickly."""

    @contextmanager
    def watch(mailing: Mailing) -> Iterator[None]:
        browser = sign_in(mailing.owner)
        session_cookie = browser.get_cookie("session")
        assert session_cookie is not None
        paths = ["/", "/healthz", f"/mailings/{mailing.id}", f"/mailings/{mailing.id}/log", "/clients/"]
        is_over = threading.Event()
        responses: list[tuple[str, int]] = []
        slow: list[tuple[str, float]] = []

        def read() -> None:
            while True:
                for path in paths:
                    start = time.monotonic()
                    responses.append((path, browser.get(path).status_code))
                    # Tests change the clock, and a cookie that was set in the future would be refused later.
                    browser.set_cookie("session", session_cookie.value)
                    # Allow more time on a machine with other work.
                    allowed = MAX_PAGE_SECONDS * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
                    if time.monotonic() - start > allowed:
                        slow.append((path, time.monotonic() - start))
                if is_over.wait(1):
                    return

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            is_over.set()
            reader.join()
        assert {status for _, status in responses} == {200}, responses
        assert not slow

    return watch
