"""Keep a worker's sessions on one route, as many as the mail server accepts."""

import smtplib
import time

from flask import current_app

from skymailing.clock import utcnow
from skymailing.delivery import metrics
from skymailing.delivery.routing import routes
from skymailing.delivery.smtp import connection
from skymailing.delivery.smtp.pipeline import Pipeline
from skymailing.delivery.smtp.session import Journal, Result
from skymailing.delivery.smtp.verdicts import Verdict
from skymailing.settings.engine import engine_settings


class SessionPool:
    """Open sessions on one route, kept between windows; as many as the server handles well."""

    def __init__(self, route: str, max_sessions: int) -> None:
        self.route = route
        self.settings = engine_settings()
        self.concurrency = routes.Concurrency(max_sessions, self.settings.session_growth_letters)
        self._faults = routes.FaultShare(self.settings)
        self._pipeline: Pipeline | None = None
        self._last_used = time.monotonic()
        # The number of sessions that the server accepted, and until when no more than that are tried.
        self._accepted, self._accepted_until = max_sessions, 0.0

    def reset(self) -> None:
        """Start again with one new session, for example after an outage."""
        self.disconnect()
        self.concurrency.reset()

    def connect(self, sender: str, journal: Journal) -> Pipeline:
        """Return the pipeline with the target number of sessions; raises OSError if none can be opened."""
        if time.monotonic() - self._last_used > self.settings.session_idle_seconds:
            self.disconnect()
        if self._pipeline is None:
            self._pipeline = Pipeline(self._open, sender, journal, self.settings.letter_seconds)
        begun = time.monotonic()
        if begun < self._accepted_until:
            self.concurrency.target = min(self.concurrency.target, self._accepted)
        try:
            # If opening is slow, continue with the sessions that are already open.
            self._pipeline.connect(self.concurrency.target, begun + self.settings.window_seconds)
        except OSError:
            if not len(self._pipeline):
                raise
            self.concurrency.target = self._accepted = len(self._pipeline)
            self._accepted_until = time.monotonic() + self.settings.session_pause_seconds
        self._last_used = time.monotonic()
        return self._pipeline

    def _open(self) -> smtplib.SMTP:
        settings = current_app.config["MAIL_FALLBACK"] if self.route == routes.FALLBACK else None
        phases = connection.Phases()
        try:
            return connection.open_smtp(current_app.config["MAIL_TIMEOUT"], settings, phases)
        finally:
            metrics.count_opening(phases.seconds)

    def report_results(self, results: list[Result], is_probe: bool) -> bool:
        """Report a window's results to the breaker; return whether the route may be used for more."""
        faults = [result for result in results if result.verdict is Verdict.ROUTE_FAULT]
        uninformative = {Verdict.ROUTE_FAULT, Verdict.RELEASED}
        successes = sum(result.code is not None and result.verdict not in uninformative for result in results)
        self._faults.record(len(faults), successes)
        if successes:
            routes.report_success(self.route, is_probe)
        if faults:
            self._report(faults[0].code, f"{faults[0].code} {faults[0].answer}")
        return not faults

    def report_connection_error(self, error: OSError) -> None:
        """Report to the breaker that no session could be opened."""
        self._faults.record(1, 0)
        self._report(connection.get_reply_code(error), connection.format_error(error))

    def _report(self, code: int | None, reason: str) -> None:
        routes.report_fault(self.route, code, reason, utcnow(), self._faults.is_too_high())

    def disconnect(self) -> None:
        """End all sessions."""
        if self._pipeline:
            self._pipeline.close()
        self._pipeline = None
