"""A worker's own way over one route: its sessions and what it learned about them."""

import smtplib
import time

from flask import current_app

from skymailing.clock import utcnow
from skymailing.delivery import metrics
from skymailing.delivery.journal import WorkerJournal
from skymailing.delivery.routing import routes
from skymailing.delivery.smtp import connection
from skymailing.delivery.smtp.pipeline import Exchange
from skymailing.delivery.smtp.session import Result, Verdict
from skymailing.settings.engine import engine_settings


class Lane:
    """Sessions over one route, kept from window to window, as many as the server takes well."""

    def __init__(self, route: str, most_sessions: int) -> None:
        self.route = route
        self.settings = engine_settings()
        self.concurrency = routes.Concurrency(most_sessions, self.settings.session_growth_letters)
        self._faults = routes.FaultShare(self.settings)
        self._exchange: Exchange | None = None
        self._last_used = time.monotonic()
        # How many sessions the server was content with, and until when no more are tried.
        self._enough, self._enough_until = most_sessions, 0.0

    def start_over(self) -> None:
        """Begin again with one session, a new one, as after an outage."""
        self.disconnect()
        self.concurrency.start_over()

    def exchange(self, sender: str, journal: WorkerJournal) -> Exchange:
        """Return the exchange with as many sessions as seem right; raises what opening one raises."""
        if time.monotonic() - self._last_used > self.settings.session_idle_seconds:
            self.disconnect()
        if self._exchange is None:
            self._exchange = Exchange(self._open, sender, journal, self.settings.letter_seconds)
        begun = time.monotonic()
        if begun < self._enough_until:
            self.concurrency.target = min(self.concurrency.target, self._enough)
        try:
            # Where opening takes long, those that are open go on meanwhile.
            self._exchange.connect(self.concurrency.target, begun + self.settings.window_seconds)
        except OSError:
            if not len(self._exchange):
                raise
            self.concurrency.target = self._enough = len(self._exchange)
            self._enough_until = time.monotonic() + self.settings.session_pause_seconds
        self._last_used = time.monotonic()
        return self._exchange

    def _open(self) -> smtplib.SMTP:
        settings = current_app.config["MAIL_FALLBACK"] if self.route == routes.FALLBACK else None
        phases = connection.Phases()
        try:
            return connection.open_smtp(current_app.config["MAIL_TIMEOUT"], settings, phases)
        finally:
            metrics.count_opening(phases.seconds)

    def judge(self, results: list[Result], is_probe: bool) -> bool:
        """Tell the breaker what a window's letters showed; return whether the route is fit for more."""
        faults = [result for result in results if result.verdict is Verdict.ROUTE_FAULT]
        elsewhere = {Verdict.ROUTE_FAULT, Verdict.RELEASED}
        fine = sum(result.code is not None and result.verdict not in elsewhere for result in results)
        self._faults.note(len(faults), fine)
        if fine:
            routes.report_success(self.route, is_probe)
        if faults:
            self._report(faults[0].code, f"{faults[0].code} {faults[0].answer}")
        return not faults

    def report_closed_door(self, error: OSError) -> None:
        """Tell the breaker that no session could be opened."""
        self._faults.note(1, 0)
        self._report(connection.code_of(error), connection.describe(error))

    def _report(self, code: int | None, reason: str) -> None:
        routes.report_fault(self.route, code, reason, utcnow(), self._faults.is_too_high())

    def disconnect(self) -> None:
        """End all sessions."""
        if self._exchange:
            self._exchange.close()
        self._exchange = None
